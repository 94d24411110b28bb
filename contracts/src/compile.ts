import { createHash, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

export type ContractName = 'DstackKms' | 'DstackApp' | 'ERC1967Proxy';

const variableSchema = z.object({ label: z.string(), slot: z.string(), offset: z.number(), type: z.string() });
const artifactSchema = z.object({
  contract: z.string(),
  compiler: z.string(),
  sourceHash: z.string(),
  abi: z.array(z.record(z.string(), z.unknown())),
  bytecode: z.string().regex(/^0x[0-9a-f]+$/),
  methodIdentifiers: z.record(z.string(), z.string()),
  storageLayout: z.object({
    storage: z.array(variableSchema),
    /** By type id; `members` of structs. */
    types: z
      .record(
        z.string(),
        z.object({ label: z.string(), numberOfBytes: z.string(), members: z.array(variableSchema).optional() }),
      )
      .nullable(),
  }),
});

/** One compiled contract as it lies in `contracts/artifacts/<name>.json`. */
export type CompiledContract = z.infer<typeof artifactSchema>;
export type CompiledContracts = Readonly<Record<ContractName, CompiledContract>>;

/** The Solidity sources do not compile. `message` holds the compiler's own words. */
export class CompileFailedError extends Error {
  readonly code = 'contracts-compile-failed';
  readonly retryable = false;
  constructor(message: string) {
    super(message);
    this.name = 'CompileFailedError';
  }
}

const packageRoot = join(dirname(fileURLToPath(import.meta.url)), '..');
const solidityRoot = join(packageRoot, 'solidity');
const artifactsRoot = join(packageRoot, 'artifacts');
const require = createRequire(import.meta.url);

const units: Readonly<Record<ContractName, string>> = {
  DstackKms: 'DstackKms.sol',
  DstackApp: 'DstackApp.sol',
  ERC1967Proxy: '@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol',
};

/** No metadata hash in the bytecode: the same sources give the same bytes on every machine. */
const settings = {
  optimizer: { enabled: true, runs: 200 },
  evmVersion: 'cancun',
  metadata: { bytecodeHash: 'none' },
  outputSelection: { '*': { '*': ['abi', 'evm.bytecode.object', 'evm.methodIdentifiers', 'storageLayout'] } },
} as const;

const outputSchema = z.object({
  errors: z.array(z.object({ severity: z.string(), formattedMessage: z.string() })).optional(),
  contracts: z.record(z.string(), z.record(z.string(), z.unknown())).optional(),
});
const unitSchema = z.object({
  abi: artifactSchema.shape.abi,
  evm: z.object({ bytecode: z.object({ object: z.string() }), methodIdentifiers: z.record(z.string(), z.string()) }),
  storageLayout: artifactSchema.shape.storageLayout,
});

/**
 * The compiled contracts: from `contracts/artifacts` when they were built from exactly these sources, settings, compiler
 * and OpenZeppelin versions, else compiled now (about 3 s of CPU) and kept there. A folder that cannot be written is no
 * error; the next caller compiles again. Throws CompileFailedError.
 */
export async function compileContracts(): Promise<CompiledContracts> {
  const sources = readSources();
  const sourceHash = hashOf(sources);
  const kept = readArtifacts(sourceHash);
  if (kept !== undefined) return kept;
  const compiled = await compileSources(sources, sourceHash);
  keepArtifacts(compiled);
  return compiled;
}

function readSources(): Record<string, { content: string }> {
  const sources: Record<string, { content: string }> = {};
  for (const entry of readdirSync(solidityRoot, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith('.sol')) continue;
    const path = join(entry.parentPath, entry.name);
    sources[relative(solidityRoot, path).split(sep).join('/')] = { content: readFileSync(path, 'utf8') };
  }
  return Object.fromEntries(Object.entries(sources).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function versionOf(manifestPath: string): string {
  return z.object({ version: z.string() }).parse(JSON.parse(readFileSync(manifestPath, 'utf8'))).version;
}

function hashOf(sources: Record<string, { content: string }>): string {
  const versions = [
    require.resolve('solc/package.json'),
    require.resolve('@openzeppelin/contracts/package.json'),
    require.resolve('@openzeppelin/contracts-upgradeable/package.json'),
  ].map(versionOf);
  return createHash('sha256').update(JSON.stringify({ sources, settings, versions })).digest('hex');
}

function readArtifacts(sourceHash: string): CompiledContracts | undefined {
  const found: Partial<Record<ContractName, CompiledContract>> = {};
  for (const name of Object.keys(units) as ContractName[]) {
    const path = join(artifactsRoot, `${name}.json`);
    if (!existsSync(path)) return undefined;
    const parsed = artifactSchema.safeParse(parseJson(readFileSync(path, 'utf8')));
    if (!parsed.success || parsed.data.sourceHash !== sourceHash) return undefined;
    found[name] = parsed.data;
  }
  return found as CompiledContracts;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function compileSources(
  sources: Record<string, { content: string }>,
  sourceHash: string,
): Promise<CompiledContracts> {
  const solc = await loadCompiler();
  const readImport = (path: string) => {
    if (!path.startsWith('@openzeppelin/')) return { error: `${path} is not part of the sources` };
    return { contents: readFileSync(require.resolve(path), 'utf8') };
  };
  const input = JSON.stringify({ language: 'Solidity', sources, settings });
  const output = outputSchema.parse(JSON.parse(solc.compile(input, { import: readImport })));
  const failures = (output.errors ?? []).filter((error) => error.severity !== 'info');
  if (failures.length > 0 || output.contracts === undefined) {
    throw new CompileFailedError(failures.map((error) => error.formattedMessage).join('\n') || 'no output');
  }
  const compiled: Partial<Record<ContractName, CompiledContract>> = {};
  for (const [name, unit] of Object.entries(units) as [ContractName, string][]) {
    const { abi, evm, storageLayout } = unitSchema.parse(output.contracts[unit]?.[name]);
    compiled[name] = {
      contract: name,
      compiler: String(solc.version()),
      sourceHash,
      abi,
      bytecode: `0x${evm.bytecode.object}`,
      methodIdentifiers: evm.methodIdentifiers,
      storageLayout,
    };
  }
  return compiled as CompiledContracts;
}

/** Loads the compiler (10 MB of wasm) and takes back the process-wide error listeners that it installs. */
async function loadCompiler() {
  const events = ['uncaughtException', 'unhandledRejection'] as const;
  const before = new Map(events.map((event) => [event, process.rawListeners(event)]));
  const { default: solc } = await import('solc');
  for (const event of events) {
    for (const listener of process.rawListeners(event)) {
      if (before.get(event)?.includes(listener) !== true) process.removeListener(event, listener as () => void);
    }
  }
  return solc;
}

function keepArtifacts(compiled: CompiledContracts): void {
  try {
    mkdirSync(artifactsRoot, { recursive: true });
    for (const [name, artifact] of Object.entries(compiled)) {
      const path = join(artifactsRoot, `${name}.json`);
      const temporary = `${path}.${randomUUID()}`;
      writeFileSync(temporary, `${JSON.stringify(artifact, null, 1)}\n`);
      renameSync(temporary, path);
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EACCES' && code !== 'EROFS' && code !== 'EPERM') throw error;
  }
}
