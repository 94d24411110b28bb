import { randomUUID } from 'node:crypto';
import { link, mkdir, open, readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { mintRootCa, RootKeys } from '@vouch/keys';
import { z } from 'zod';

/**
 * One file holds everything that a bootstrap makes, so that a crash leaves either all of it or nothing:
 * `<data dir>/root.json`, mode 0600, with the sealed root keys and the root CA certificate. Public statements are derived
 * from it and never stored. Replicas of one KMS share this file's bytes.
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
  readonly domain: string;
  /** PEM. Minted once and kept, so that two replicas put the same bytes into a payload. */
  readonly rootCaCert: string;
}

/** Root keys that are absent, or cannot be used. `retryable` is false: an operator must act. */
class RootKeysUnavailableError extends Error {
  readonly retryable = false;
  constructor(
    readonly code: 'root-keys-absent' | 'root-keys-damaged' | 'root-domain-differs',
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'RootKeysUnavailableError';
  }
}

const FILE_NAME = 'root.json';

/**
 * Makes root keys when there are none; otherwise opens those that exist. Two concurrent calls end with the same keys: the
 * file appears under its name only when it is complete and on disk, and never replaces another (link(2)).
 * Throws RootKeysUnavailableError when keys exist for another domain or cannot be opened.
 */
export async function createRoot(options: {
  readonly dataDir: string;
  readonly unsafePassphrase: Uint8Array;
  readonly domain: string;
  readonly now: Date;
}): Promise<KmsRoot> {
  const { dataDir, unsafePassphrase, domain } = options;
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const existing = await readRootFile(dataDir);
  if (existing === undefined) {
    const keys = RootKeys.generate();
    try {
      const file: z.infer<typeof rootFileSchema> = {
        version: 1,
        keyEpoch: 0,
        domain,
        sealed: Buffer.from(await keys.toSealed({ unsafePassphrase })).toString('base64'),
        rootCaCert: mintRootCa(keys, options.now).pem,
      };
      await writeOnce(dataDir, `${JSON.stringify(file, null, 1)}\n`);
    } finally {
      keys.wipe();
    }
  }
  const root = await loadRoot({ dataDir, unsafePassphrase });
  if (root.domain !== domain) {
    root.keys.wipe();
    throw new RootKeysUnavailableError(
      'root-domain-differs',
      `root keys in ${dataDir} belong to ${root.domain}, not ${domain}; use that domain or another KMS_DATA_DIR`,
    );
  }
  return root;
}

/** Opens the root keys. Throws RootKeysUnavailableError, or SealOpenError for a wrong passphrase. */
export async function loadRoot(options: {
  readonly dataDir: string;
  readonly unsafePassphrase: Uint8Array;
}): Promise<KmsRoot> {
  const { dataDir, unsafePassphrase } = options;
  const text = await readRootFile(dataDir);
  if (text === undefined) {
    throw new RootKeysUnavailableError(
      'root-keys-absent',
      `no root keys in ${dataDir}: run "node apps/kms/dist/main.js bootstrap --domain <name>" once`,
    );
  }
  const file = rootFileSchema.safeParse(jsonOf(text));
  if (!file.success) {
    throw new RootKeysUnavailableError('root-keys-damaged', `${join(dataDir, FILE_NAME)} is not a root file`);
  }
  const { sealed, keyEpoch, domain, rootCaCert } = file.data;
  const keys = await RootKeys.fromSealed(Buffer.from(sealed, 'base64'), { unsafePassphrase });
  return { keys, keyEpoch, domain, rootCaCert };
}

/** Reads the passphrase of the development key provider: the file's bytes without trailing line ends. */
export async function readPassphrase(path: string): Promise<Uint8Array> {
  const passphrase = (await readFile(path, 'utf8')).replace(/[\r\n]+$/, '');
  if (passphrase.length < 16) throw new TypeError(`${path}: a passphrase has at least 16 characters`);
  return new TextEncoder().encode(passphrase);
}

async function readRootFile(dataDir: string): Promise<string | undefined> {
  try {
    return await readFile(join(dataDir, FILE_NAME), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function writeOnce(dataDir: string, content: string): Promise<void> {
  const path = join(dataDir, FILE_NAME);
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
