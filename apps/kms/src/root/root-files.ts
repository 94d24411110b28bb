import { randomUUID } from 'node:crypto';
import { link, mkdir, open, readdir, readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { type KeyProvider, mintRootCa, RootKeys } from '@vouch/keys';
import { z } from 'zod';

/**
 * One file holds everything of one key epoch, so that a crash leaves either all of it or nothing: `<data dir>/root.json` for
 * epoch 0, `root-epoch-<n>.json` for later ones, mode 0600, with the sealed root keys and the root CA certificate. Files are
 * never changed; which epoch is in use stands in the log. Public statements are derived and never stored. Replicas of one
 * KMS share these files' bytes.
 */
const rootFileSchema = z.strictObject({
  version: z.literal(1),
  keyEpoch: z.number().int().nonnegative(),
  /** Name of the KMS; certificates for it are refused to apps. */
  domain: z.string(),
  /** RootKeys sealed form, base64. */
  sealed: z.base64(),
  rootCaCert: z.string().startsWith('-----BEGIN CERTIFICATE-----'),
});

/** The opened root of one key epoch. */
export interface KmsRoot {
  readonly keys: RootKeys;
  readonly keyEpoch: number;
  /** Name of the KMS. */
  readonly domain: string;
  /** PEM. Minted once and kept, so that two replicas put the same bytes into a payload. */
  readonly rootCaCert: string;
}

/** Root keys that are absent, or cannot be used. `retryable` is false: an operator must act. */
class RootKeysUnavailableError extends Error {
  readonly retryable = false;
  constructor(
    readonly code: 'root-keys-absent' | 'root-keys-damaged' | 'root-domain-differs' | 'root-keys-differ',
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'RootKeysUnavailableError';
  }
}

/** Where root files lie and what opens them. */
export interface RootStore {
  readonly dataDir: string;
  readonly provider: KeyProvider;
}

/**
 * Makes the first root keys when there are none; otherwise opens those that exist. Two concurrent calls end with the same
 * keys: the file appears under its name only when it is complete and on disk, and never replaces another (link(2)).
 * Throws RootKeysUnavailableError when keys exist for another domain or cannot be opened.
 */
export async function createRoot(store: RootStore, options: { domain: string; now: Date }): Promise<KmsRoot> {
  const { dataDir } = store;
  const { domain } = options;
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  if ((await readRootFile(dataDir, 0)) === undefined) await generate(store, 0, options);
  const root = await loadRoot(store);
  if (root.domain !== domain) {
    root.keys.wipe();
    throw new RootKeysUnavailableError(
      'root-domain-differs',
      `root keys in ${dataDir} belong to ${root.domain}, not ${domain}; use that domain or another KMS_DATA_DIR`,
    );
  }
  return root;
}

/** Makes the root keys of a later key epoch when there are none; otherwise opens those that exist. */
export async function createEpochRoot(
  store: RootStore,
  keyEpoch: number,
  options: { domain: string; now: Date },
): Promise<KmsRoot> {
  const existing = await openRootFile(store, keyEpoch);
  if (existing !== undefined) return existing;
  await generate(store, keyEpoch, options);
  const made = await openRootFile(store, keyEpoch);
  if (made === undefined) throw new TypeError('the root file that was just written is not there');
  return made;
}

/** Puts root keys from elsewhere (a backup) into a folder that has none of that epoch; equal ones are left as they are. */
export async function importRoot(store: RootStore, root: KmsRoot): Promise<void> {
  await mkdir(store.dataDir, { recursive: true, mode: 0o700 });
  await write(store, root);
  const kept = await openRootFile(store, root.keyEpoch);
  try {
    const isSame = kept !== undefined && Buffer.compare(kept.keys.caSpki, root.keys.caSpki) === 0;
    if (isSame) return;
    const name = fileName(root.keyEpoch);
    throw new RootKeysUnavailableError('root-keys-differ', `${join(store.dataDir, name)} holds other root keys`);
  } finally {
    kept?.keys.wipe();
  }
}

/** Opens the first root keys. Throws RootKeysUnavailableError, or SealOpenError for a wrong passphrase. */
export async function loadRoot(store: RootStore): Promise<KmsRoot> {
  const root = await openRootFile(store, 0);
  if (root === undefined) {
    throw new RootKeysUnavailableError(
      'root-keys-absent',
      `no root keys in ${store.dataDir}: run "node apps/kms/dist/main.js bootstrap --domain <name>" once`,
    );
  }
  return root;
}

/** Opens the roots of every epoch in the folder, ascending. Throws as {@link loadRoot}. */
export async function loadRoots(store: RootStore): Promise<[KmsRoot, ...KmsRoot[]]> {
  const first = await loadRoot(store);
  const later: KmsRoot[] = [];
  for (const name of await readdir(store.dataDir)) {
    const keyEpoch = Number(/^root-epoch-([1-9]\d*)\.json$/.exec(name)?.[1] ?? 0);
    const root = keyEpoch === 0 ? undefined : await openRootFile(store, keyEpoch);
    if (root !== undefined) later.push(root);
  }
  return [first, ...later.sort((a, b) => a.keyEpoch - b.keyEpoch)];
}

/** Opens one epoch's root keys; undefined when there is no such file. Throws as {@link loadRoot}. */
export async function openRootFile({ dataDir, provider }: RootStore, epoch: number): Promise<KmsRoot | undefined> {
  const text = await readRootFile(dataDir, epoch);
  if (text === undefined) return undefined;
  const file = rootFileSchema.safeParse(jsonOf(text));
  if (!file.success || file.data.keyEpoch !== epoch) {
    const path = join(dataDir, fileName(epoch));
    throw new RootKeysUnavailableError('root-keys-damaged', `${path} is not a root file of key epoch ${epoch}`);
  }
  const { sealed, keyEpoch, domain, rootCaCert } = file.data;
  const keys = await RootKeys.open(Buffer.from(sealed, 'base64'), provider, keyEpoch);
  return { keys, keyEpoch, domain, rootCaCert };
}

async function generate(store: RootStore, keyEpoch: number, options: { domain: string; now: Date }): Promise<void> {
  const keys = RootKeys.generate(keyEpoch);
  try {
    const rootCaCert = mintRootCa(keys, options.now).pem;
    await write(store, { keys, keyEpoch, domain: options.domain, rootCaCert });
  } finally {
    keys.wipe();
  }
}

async function write({ dataDir, provider }: RootStore, root: KmsRoot): Promise<void> {
  const { keys, keyEpoch, domain, rootCaCert } = root;
  const sealed = Buffer.from(await keys.seal(provider)).toString('base64');
  const file: z.infer<typeof rootFileSchema> = { version: 1, keyEpoch, domain, sealed, rootCaCert };
  await writeOnce(dataDir, fileName(keyEpoch), `${JSON.stringify(file, null, 1)}\n`);
}

function fileName(keyEpoch: number): string {
  return keyEpoch === 0 ? 'root.json' : `root-epoch-${keyEpoch}.json`;
}

/** Reads the passphrase of the development key provider: the file's bytes without trailing line ends. */
export async function readPassphrase(path: string): Promise<Uint8Array> {
  const passphrase = (await readFile(path, 'utf8')).replace(/[\r\n]+$/, '');
  if (passphrase.length < 16) throw new TypeError(`${path}: a passphrase has at least 16 characters`);
  return new TextEncoder().encode(passphrase);
}

async function readRootFile(dataDir: string, keyEpoch: number): Promise<string | undefined> {
  try {
    return await readFile(join(dataDir, fileName(keyEpoch)), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function writeOnce(dataDir: string, name: string, content: string): Promise<void> {
  const path = join(dataDir, name);
  const temporary = `${path}.${randomUUID()}`;
  const file = await open(temporary, 'wx', 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  try {
    await link(temporary, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    await unlink(temporary);
  }
  const folder = await open(dataDir, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
