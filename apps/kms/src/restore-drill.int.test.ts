import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deriveAppCaKey, deriveAppKeys, PassphraseKeyProvider } from '@vouch/keys';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bootstrap } from './bootstrap-command.js';
import { createEpochRoot, type KmsRoot, loadRoots } from './root/root-files.js';
import { sharesCommand } from './shares-command.js';

const now = new Date('2026-05-01T00:00:00Z');
const PASSPHRASE = 'the passphrase of the old machine';
let dir: string;
const environment = (folder: string, passphrase = 'passphrase') => ({
  VOUCH_MODE: 'development',
  KMS_DATA_DIR: join(dir, folder),
  KMS_PASSPHRASE_FILE: join(dir, passphrase),
});
const providerOf = (text: string) => new PassphraseKeyProvider({ unsafePassphrase: new TextEncoder().encode(text) });

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'vouch-drill-'));
  await writeFile(join(dir, 'passphrase'), PASSPHRASE);
  await bootstrap(['--domain', 'kms.example'], environment('old'), now);
  const store = { dataDir: join(dir, 'old'), provider: providerOf(PASSPHRASE) };
  await createEpochRoot(store, 1, { domain: 'kms.example', now });
});
afterEach(() => rm(dir, { recursive: true, force: true }));

async function split(...args: string[]): Promise<{ files: string[]; keyEpochs: number[] }> {
  const all = ['split', '--threshold', '3', '--shares', '5', ...args];
  return JSON.parse(await sharesCommand(all, environment('old'), now)) as { files: string[]; keyEpochs: number[] };
}

function derived({ keys, rootCaCert }: KmsRoot) {
  const appId = new Uint8Array(20).fill(7);
  const { scalar } = deriveAppCaKey(keys, appId);
  return { keys: deriveAppKeys(keys, appId, new Uint8Array(20).fill(9)), scalar, rootCaCert };
}

describe('restore drill: a KMS on a new machine, from shares alone', () => {
  it('derives the same keys in every epoch, and says the same of itself', async () => {
    const { files, keyEpochs } = await split('--out', join(dir, 'shares'));
    expect(keyEpochs).toEqual([0, 1]);
    const statement = await bootstrap(['--domain', 'kms.example'], environment('old'), now);
    const before = (await loadRoots({ dataDir: join(dir, 'old'), provider: providerOf(PASSPHRASE) })).map(derived);
    await rm(join(dir, 'old'), { recursive: true });
    await writeFile(join(dir, 'passphrase-2'), 'another passphrase on the new machine');
    const chosen = [files[4], files[0], files[2]].map(String);
    const printed = await sharesCommand(['combine', ...chosen], environment('new', 'passphrase-2'), now);
    expect(JSON.parse(printed)).toMatchObject({ domain: 'kms.example', restored: JSON.parse(statement) });
    const provider = providerOf('another passphrase on the new machine');
    expect((await loadRoots({ dataDir: join(dir, 'new'), provider })).map(derived)).toEqual(before);
    expect(await bootstrap(['--domain', 'kms.example'], environment('new', 'passphrase-2'), now)).toBe(statement);
  });

  it('leaves shares that only their owner can read, and prints none unless asked', async () => {
    const { files, ...said } = await split('--out', join(dir, 'shares'));
    expect(await readdir(join(dir, 'shares'))).toHaveLength(5);
    expect((await stat(join(dir, 'shares'))).mode & 0o777).toBe(0o700);
    for (const file of files) {
      expect((await stat(file)).mode & 0o777).toBe(0o600);
      const { share } = JSON.parse(await readFile(file, 'utf8')) as { share: string };
      expect(JSON.stringify(said)).not.toContain(share);
    }
    const printed = JSON.parse(
      await sharesCommand(['split', '--threshold', '2', '--shares', '2', '--print'], environment('old'), now),
    ) as { shares: unknown[] };
    expect(printed.shares).toHaveLength(2);
  });

  it('refuses a folder that exists, too few shares, a damaged one, and to overwrite other root keys', async () => {
    const { files } = await split('--out', join(dir, 'shares'));
    await expect(split('--out', join(dir, 'shares'))).rejects.toThrow(/must be new/);
    await expect(split()).rejects.toThrow(/--out <new folder>, or --print/);
    const combine = (folder: string, ...paths: (string | undefined)[]) =>
      sharesCommand(['combine', ...paths.map(String)], environment(folder), now);
    await expect(combine('new', files[0], files[1])).rejects.toMatchObject({ code: 'too-few-shares' });
    expect(await readdir(dir)).not.toContain('new');
    await bootstrap(['--domain', 'kms.example'], environment('other'), now);
    await expect(combine('other', files[0], files[1], files[2])).rejects.toMatchObject({ code: 'root-keys-differ' });
    await combine('old', files[0], files[1], files[2]);
    await chmod(String(files[3]), 0o600);
    await writeFile(String(files[3]), (await readFile(String(files[3]), 'utf8')).replace(/"share": "./, '"share": "*'));
    await expect(combine('new', files[0], files[1], files[3])).rejects.toMatchObject({ code: 'share-damaged' });
  });
});
