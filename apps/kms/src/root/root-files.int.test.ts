import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassphraseKeyProvider, verifyEndorsement } from '@vouch/keys';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { rootStatement } from './public-statement.js';
import { createEpochRoot, createRoot, loadRoot, loadRoots, readPassphrase } from './root-files.js';

const sealedWith = (text: string) => new PassphraseKeyProvider({ unsafePassphrase: new TextEncoder().encode(text) });
const provider = sealedWith('a passphrase for this test');
const now = new Date('2026-05-01T00:00:00Z');
let dataDir: string;

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'vouch-kms-'));
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

const create = (domain = 'kms.example') => createRoot({ dataDir, provider }, { domain, now });

describe('root keys on disk', () => {
  it('are made once: a second bootstrap gives the same statement', async () => {
    const first = rootStatement(await create());
    expect(rootStatement(await create())).toEqual(first);
    expect(rootStatement(await loadRoot({ dataDir, provider }))).toEqual(first);
    expect(
      verifyEndorsement({
        rootCaSpki: Buffer.from(first.rootCaSpki, 'hex'),
        eventKey: Buffer.from(first.eventKey, 'base64url'),
        endorsement: Buffer.from(first.endorsement, 'base64url'),
      }),
    ).toBe(true);
  });

  it('are the same for concurrent bootstraps, and leave no temporary file', async () => {
    const statements = await Promise.all(Array.from({ length: 5 }, async () => rootStatement(await create())));
    expect(new Set(statements.map((statement) => JSON.stringify(statement))).size).toBe(1);
    expect(await readdir(dataDir)).toEqual(['root.json']);
    expect((await stat(join(dataDir, 'root.json'))).mode & 0o777).toBe(0o600);
  });

  it('survive a bootstrap that died before the file had its name', async () => {
    await writeFile(join(dataDir, 'root.json.1f0c'), '{"version":1,"sealed":"half of');
    await expect(loadRoot({ dataDir, provider })).rejects.toMatchObject({ code: 'root-keys-absent' });
    const root = await create();
    expect(rootStatement(await loadRoot({ dataDir, provider }))).toEqual(rootStatement(root));
  });

  it('are refused with another passphrase, for another domain, and when damaged', async () => {
    await create();
    const other = sealedWith('another passphrase altogether');
    await expect(loadRoot({ dataDir, provider: other })).rejects.toMatchObject({ code: 'seal-open-failed' });
    await expect(create('other.example')).rejects.toMatchObject({ code: 'root-domain-differs' });
    const path = join(dataDir, 'root.json');
    await writeFile(path, (await readFile(path, 'utf8')).slice(0, 100));
    await expect(create()).rejects.toMatchObject({ code: 'root-keys-damaged' });
  });

  it('of a later key epoch lie in a file of their own, made once, and do not pass for another epoch', async () => {
    await create();
    const make = () => createEpochRoot({ dataDir, provider }, 1, { domain: 'kms.example', now });
    const made = await Promise.all([make(), make(), make()]);
    expect(new Set(made.map((root) => JSON.stringify(rootStatement(root)))).size).toBe(1);
    expect((await readdir(dataDir)).sort()).toEqual(['root-epoch-1.json', 'root.json']);
    expect((await loadRoots({ dataDir, provider })).map(({ keyEpoch }) => keyEpoch)).toEqual([0, 1]);
    const text = await readFile(join(dataDir, 'root-epoch-1.json'), 'utf8');
    await writeFile(join(dataDir, 'root-epoch-2.json'), text);
    await expect(loadRoots({ dataDir, provider })).rejects.toMatchObject({ code: 'root-keys-damaged' });
    await writeFile(join(dataDir, 'root-epoch-2.json'), text.replace('"keyEpoch": 1', '"keyEpoch": 2'));
    await expect(loadRoots({ dataDir, provider })).rejects.toMatchObject({ code: 'seal-open-failed' });
  });

  it('take a passphrase file without its line end, and refuse a short one', async () => {
    const path = join(dataDir, 'passphrase');
    await writeFile(path, 'sixteen characters\n');
    expect(Buffer.from(await readPassphrase(path)).toString()).toBe('sixteen characters');
    await writeFile(path, 'short\n');
    await expect(readPassphrase(path)).rejects.toThrow(/at least 16/);
  });
});
