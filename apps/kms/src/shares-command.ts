import { constants } from 'node:fs';
import { mkdir, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { combineRootShares, type RootShare, readRootShare, splitRoots } from '@vouch/keys';
import { ConfigError } from '@vouch/platform';
import { readBootstrapConfig } from './config/kms-config.js';
import { keyProviderOf } from './root/key-provider-of.js';
import { publicStatement } from './root/public-statement.js';
import { importRoot, loadRoots, type RootStore } from './root/root-files.js';

const HELP =
  'shares split --threshold <k> --shares <n> (--out <new folder> | --print) | shares combine <share file>... ; combine writes into KMS_DATA_DIR';

/**
 * `shares split`: writes the root keys of all key epochs as k-of-n shares, one file each, mode 0600, into a new folder; they
 * are printed only when `--print` says so. `shares combine`: restores them into KMS_DATA_DIR, sealed with the key provider of
 * the settings. Works offline. Answers one line of JSON, which holds no share. Throws ConfigError, RootShareError.
 */
export async function sharesCommand(args: readonly string[], env: NodeJS.ProcessEnv, now: Date): Promise<string> {
  const [verb, ...rest] = args;
  const config = readBootstrapConfig(env);
  const store: RootStore = { dataDir: config.KMS_DATA_DIR, provider: await keyProviderOf(config) };
  if (verb === 'split') return await split(store, splitOptions(rest), now);
  if (verb === 'combine' && rest.length > 0) return await combine(store, rest);
  throw new ConfigError([`usage: ${HELP}`]);
}

interface SplitOptions {
  readonly threshold: number;
  readonly count: number;
  /** Folder to make; undefined: print. */
  readonly out: string | undefined;
}

async function split(store: RootStore, { threshold, count, out }: SplitOptions, now: Date): Promise<string> {
  const roots = await loadRoots(store);
  let shares: RootShare[];
  try {
    shares = await splitRoots(roots, { threshold, count, domain: roots[0].domain, now });
  } catch (error) {
    if (error instanceof RangeError) throw new ConfigError([`--threshold, --shares: ${error.message}`]);
    throw error;
  } finally {
    for (const { keys } of roots) keys.wipe();
  }
  if (out === undefined) return JSON.stringify({ shares });
  await makeFolder(out);
  const files: string[] = [];
  for (const share of shares) files.push(await writeShare(out, share));
  const { setId, createdAt } = shares[0]?.set ?? { setId: '', createdAt: '' };
  return JSON.stringify({ setId, createdAt, threshold, count, keyEpochs: roots.map((root) => root.keyEpoch), files });
}

async function combine(store: RootStore, paths: readonly string[]): Promise<string> {
  const shares: RootShare[] = [];
  for (const path of paths) shares.push(readRootShare(await readShare(path)));
  const { set, roots } = await combineRootShares(shares);
  const { domain } = set;
  try {
    for (const keys of roots) {
      const { keyEpoch } = keys;
      const rootCaCert = set.roots.find((root) => root.keyEpoch === keyEpoch)?.rootCaCert ?? '';
      await importRoot(store, { keys, keyEpoch, domain, rootCaCert });
    }
  } finally {
    for (const keys of roots) keys.wipe();
  }
  const restored = await loadRoots(store);
  try {
    return JSON.stringify({ setId: set.setId, domain, restored: publicStatement(restored) });
  } finally {
    for (const { keys } of restored) keys.wipe();
  }
}

function splitOptions(args: readonly string[]): SplitOptions {
  const text = { type: 'string' } as const;
  try {
    const { values } = parseArgs({
      args: [...args],
      options: { threshold: text, shares: text, out: text, print: { type: 'boolean' } },
    });
    const { out, print = false } = values;
    if ((out === undefined) !== print) throw new TypeError('say --out <new folder>, or --print');
    return { threshold: Number(values.threshold), count: Number(values.shares), out };
  } catch (error) {
    throw new ConfigError([`${(error as Error).message}; usage: ${HELP}`]);
  }
}

async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    throw new ConfigError([`--out: ${path} cannot be made (${(error as NodeJS.ErrnoException).code}); it must be new`]);
  }
}

async function writeShare(folder: string, share: RootShare): Promise<string> {
  const path = join(folder, `share-${share.index}-of-${share.set.count}.json`);
  const file = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
  try {
    await file.writeFile(`${JSON.stringify(share, null, 1)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  return path;
}

async function readShare(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new ConfigError([`${path} cannot be read (${(error as NodeJS.ErrnoException).code})`]);
  }
}
