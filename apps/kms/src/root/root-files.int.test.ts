import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { verifyEndorsement } from '@vouch/keys';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { publicStatement } from './public-statement.js';
import { createRoot, loadRoot, readPassphrase } from './root-files.js';

const unsafePassphrase = new TextEncoder().encode('a passphrase for this test');
const now = new Date('2026-05-01T00:00:00Z');
let dataDir: string;

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'vouch-kms-'));
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

const create = (domain = 'kms.example') => createRoot({ dataDir, unsafePassphrase, domain, now });

describe('root keys on disk', () => {
  it('are made once: a second bootstrap gives the same statement', async () => {
    const first = publicStatement(await create());
    expect(publicStatement(await create())).toEqual(first);
    expect(publicStatement(await loadRoot({ dataDir, unsafePassphrase }))).toEqual(first);
    expect(
      verifyEndorsement({
        rootCaSpki: Buffer.from(first.rootCaSpki, 'hex'),
        eventKey: Buffer.from(first.eventKey, 'base64url'),
        endorsement: Buffer.from(first.endorsement, 'base64url'),
      }),
    ).toBe(true);
  });

  it('are the same for concurrent bootstraps, and leave no temporary file', async () => {
    const statements = await Promise.all(Array.from({ length: 5 }, async () => publicStatement(await create())));
    expect(new Set(statements.map((statement) => JSON.stringify(statement))).size).toBe(1);
    expect(await readdir(dataDir)).toEqual(['root.json']);
    expect((await stat(join(dataDir, 'root.json'))).mode & 0o777).toBe(0o600);
  });

  it('survive a bootstrap that died before the file had its name', async () => {
    await writeFile(join(dataDir, 'root.json.1f0c'), '{"version":1,"sealed":"half of');
    await expect(loadRoot({ dataDir, unsafePassphrase })).rejects.toMatchObject({ code: 'root-keys-absent' });
    const root = await create();
    expect(publicStatement(await loadRoot({ dataDir, unsafePassphrase }))).toEqual(publicStatement(root));
  });

  it('are refused with another passphrase, for another domain, and when damaged', async () => {
    await create();
    const other = new TextEncoder().encode('another passphrase altogether');
    await expect(loadRoot({ dataDir, unsafePassphrase: other })).rejects.toMatchObject({ code: 'seal-open-failed' });
    await expect(create('other.example')).rejects.toMatchObject({ code: 'root-domain-differs' });
    const path = join(dataDir, 'root.json');
    await writeFile(path, (await readFile(path, 'utf8')).slice(0, 100));
    await expect(create()).rejects.toMatchObject({ code: 'root-keys-damaged' });
  });

  it('take a passphrase file without its line end, and refuse a short one', async () => {
    const path = join(dataDir, 'passphrase');
    await writeFile(path, 'sixteen characters\n');
    expect(Buffer.from(await readPassphrase(path)).toString()).toBe('sixteen characters');
    await writeFile(path, 'short\n');
    await expect(readPassphrase(path)).rejects.toThrow(/at least 16/);
  });
});
