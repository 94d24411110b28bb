import { createPublicKey } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { JetStreamEventStore } from '@vouch/eventstore';
import { type BusRequestError, busRequest } from '@vouch/platform';
import { makeTestAuthors, startTestBus, type TestBus } from '@vouch/testkit';
import {
  CompactRange,
  decodeTile,
  leafHash,
  openCheckpoint,
  verifyConsistency,
  verifyReceipt,
} from '@vouch/transparency';
import type { DataSource } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AuditDatabases } from './testing/audit-databases.js';
import { AuditorProcess } from './testing/auditor-process.js';
import { appendAll, deployStory } from './testing/deploy-story.js';

const authors = makeTestAuthors();
const verifier = { origin: authors.trust.log.origin, publicKey: createPublicKey(authors.logPrivateKey) };
let bus: TestBus;
let databases: AuditDatabases;
let auditor: AuditorProcess;
let dataSource: DataSource;
let databaseUrl: string;

beforeAll(async () => {
  [bus, databases] = await Promise.all([startTestBus(), AuditDatabases.start()]);
  databaseUrl = await databases.empty();
  dataSource = await databases.connect(databaseUrl);
  auditor = await AuditorProcess.prepare(bus, authors, databaseUrl);
});
afterAll(async () => {
  await auditor?.remove();
  await Promise.all([bus?.stop(), databases?.stop()]);
});

/** Appends each event over the connection of the user who may write its subject. */
async function append(n: number): Promise<void> {
  for (const event of deployStory(authors, n)) {
    const { service, node } = authors.directory.find(event.envelope.keyid) ?? {};
    if (service === undefined || node === undefined) throw new Error('an event without a known author');
    await appendAll(await storeOf(service, node), [event]);
  }
}

const stores = new Map<string, Promise<JetStreamEventStore>>();
function storeOf(service: 'control-api' | 'host-worker' | 'kms' | 'gateway' | 'auditor', node: string) {
  const key = `${service}/${node}`;
  const opened =
    stores.get(key) ??
    bus.connect({ service, node }).then(
      (connection) =>
        new JetStreamEventStore({
          connection,
          directory: authors.directory,
          readMode: service === 'host-worker' ? 'filtered-consumer' : 'message-get',
        }),
    );
  stores.set(key, opened);
  return opened;
}

/** Asks as the KMS does: again while nobody answers, which a restarting auditor makes so for a moment. */
async function receiptOverBus(seq: number): Promise<unknown> {
  const kms = await bus.connect({ service: 'kms', node: '' });
  for (;;) {
    try {
      return await busRequest(kms, 'audit.receipt', { seq }, { timeoutMs: 15_000 });
    } catch (error) {
      if ((error as BusRequestError).code !== 'no-responder') throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

describe('the auditor as a process', () => {
  it('refuses to run on a database that was not migrated, or with another log key', async () => {
    const unmigrated = await auditor.run([]);
    expect(unmigrated).toMatchObject({ code: 78 });
    expect(unmigrated.stderr).toContain('DATABASE_URL: the tables are missing or old');
    const otherOrigin = await auditor.run([], { VOUCH_LOG_ORIGIN: 'other.test/log' });
    expect(otherOrigin).toMatchObject({ code: 78 });
    expect(otherOrigin.stderr).toContain('VOUCH_LOG_ORIGIN');
  });

  it('migrates, twice, and keeps the password to itself', async () => {
    const password = 'a-secret-of-the-reader';
    for (const expected of ['migrated: AuditTables', 'the tables are up to date']) {
      const done = await auditor.run(['migrate'], { VOUCH_READER_PASSWORD: password });
      expect(done).toMatchObject({ code: 0 });
      expect(done.stdout).toContain(expected);
      expect(done.stdout + done.stderr).not.toContain(password);
    }
    const bad = await auditor.run(['migrate'], { VOUCH_READER_PASSWORD: 'kurz "' });
    expect(bad).toMatchObject({ code: 1 });
    expect(bad.stderr).toContain('VOUCH_READER_PASSWORD');
    expect(bad.stderr).not.toContain('kurz');
    expect(await auditor.run(['migrate'], { DATABASE_URL: 'postgresql://127.0.0.1:1/none' })).toMatchObject({
      code: 3,
    });
  });

  it('follows the log and answers the KMS with a receipt that verifies', async () => {
    await auditor.start();
    const waiting = receiptOverBus(8);
    await append(1);
    const { event, checkpoint } = verifyReceipt(await waiting, verifier);
    expect(JSON.parse(Buffer.from(event).toString('utf8'))).toMatchObject({ type: 'grant.issued' });
    expect(checkpoint.size).toBeGreaterThanOrEqual(8);
    await expect(receiptOverBus(0)).rejects.toMatchObject({ code: 'receipt-request-invalid' });
    const kms = await bus.connect({ service: 'kms', node: '' });
    const malformed = busRequest(kms, 'audit.receipt', 'nonsense', { timeoutMs: 5_000 });
    await expect(malformed).rejects.toMatchObject({ code: 'receipt-request-invalid' });
  });

  it('shows checkpoint, receipts and consistency beside its health', async () => {
    const get = (path: string) => fetch(new URL(path, auditor.httpUrl));
    const receipt = await (await get('/log/receipt/10')).json();
    expect(verifyReceipt(receipt, verifier).seq).toBe(10);
    const response = await get('/log/checkpoint');
    expect(response.headers.get('content-type')).toContain('text/plain');
    const checkpoint = openCheckpoint(await response.text(), verifier);
    expect(checkpoint.size).toBe(10);
    const old = verifyReceipt(await (await get('/log/receipt/1')).json(), verifier).checkpoint;
    const answer = await get(`/log/consistency?from=${old.size}&to=${checkpoint.size}`);
    const { proof } = (await answer.json()) as { proof: string[] };
    verifyConsistency({
      oldSize: old.size,
      newSize: checkpoint.size,
      oldRoot: old.root,
      newRoot: checkpoint.root,
      proof: proof.map((hash) => Buffer.from(hash, 'base64')),
    });
    expect((await get('/log/receipt/zero')).status).toBe(400);
    expect((await get('/log/receipt/999')).status).toBe(404);
    expect((await get('/log/consistency?from=3&to=2')).status).toBe(400);
    expect((await get('/log/nothing')).status).toBe(404);
    const metrics = await (await get('/metrics')).text();
    expect(metrics).toContain('vouch_audit_position 10');
    expect(metrics).toContain('vouch_audit_leading 1');
  });

  it('serves the log as C2SP tiles that any client can put together to the signed root', async () => {
    const get = (path: string) => fetch(new URL(path, auditor.httpUrl));
    const { size, root } = openCheckpoint(await (await get('/log/checkpoint')).text(), verifier);
    const tile = await get(`/log/tile/0/000.p/${size}`);
    expect(tile.headers.get('content-type')).toBe('application/octet-stream');
    const leaves = decodeTile(new Uint8Array(await tile.arrayBuffer()), size);
    const range = CompactRange.empty();
    for (const leaf of leaves) range.append(leaf);
    expect(Buffer.from(range.root()).equals(root)).toBe(true);
    const bundle = Buffer.from(await (await get(`/log/tile/entries/000.p/${size}`)).arrayBuffer());
    let at = 0;
    for (const leaf of leaves) {
      const length = bundle.readUInt16BE(at);
      expect(Buffer.from(leafHash(bundle.subarray(at + 2, at + 2 + length))).equals(leaf)).toBe(true);
      at += 2 + length;
    }
    expect(at).toBe(bundle.length);
    for (const path of [`0/000.p/${size + 1}`, '0/000', '1/000.p/1', '0/001', '0/x', 'entries/000', '0/..%2f000']) {
      expect((await get(`/log/tile/${path}`)).status, path).toBe(404);
    }
  });

  it('killed in the middle, it goes on without a hole or a double', async () => {
    const writing = append(2);
    expect(await auditor.end('SIGKILL')).toBeNull();
    await writing;
    await auditor.start();
    expect(verifyReceipt(await receiptOverBus(20), verifier).seq).toBe(20);
    expect(await dataSource.query('select count(*)::int as n, max(seq)::int as last from event')).toEqual([
      { n: 20, last: 20 },
    ]);
  });

  it('outlives a killed NATS server', async () => {
    await bus.crashAndRestart();
    stores.clear();
    await append(3);
    expect(verifyReceipt(await receiptOverBus(30), verifier).seq).toBe(30);
  });

  it('replays equal, beside the running service', async () => {
    const text = await auditor.run(['replay']);
    expect(text).toMatchObject({ code: 0 });
    expect(text.stdout).toMatch(/^equal: 30 events, \d+ rows, \d+ checkpoints, root [0-9a-f]{64}, /m);
    expect(text.stderr).toContain('replayed 30 of 30 events');
    const json = await auditor.run(['replay', '--json', '--to', '12']);
    expect(json).toMatchObject({ code: 0 });
    expect(JSON.parse(json.stdout)).toMatchObject({ equal: true, events: 12, difference: null });
  });

  it('exports a bundle that verifies without the service, and is refused after a change', async () => {
    const file = auditor.path('bundle.jsonl');
    expect(await auditor.run(['export', file])).toMatchObject({ code: 0 });
    const trust = auditor.path('trust.json');
    const offline = { NATS_URL: '', DATABASE_URL: '' };
    const verified = await auditor.run(['verify', file, '--trust', trust], offline);
    expect(verified).toMatchObject({ code: 0 });
    expect(verified.stdout).toMatch(/^verified: 30 events, root [0-9a-f]{64}$/m);
    const lines = (await readFile(file, 'utf8')).split('\n');
    await writeFile(file, lines.filter((line) => !line.startsWith('{"seq":7,')).join('\n'));
    const refused = await auditor.run(['verify', file, '--trust', trust, '--json'], offline);
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('refused at event.order: event 8') });
    expect(JSON.parse(refused.stdout)).toMatchObject({ ok: false, step: 'event.order' });
    for (const args of [['verify', file], ['verify'], ['export']]) {
      expect(await auditor.run(args)).toMatchObject({ code: 1 });
    }
  });

  it('replay says where one byte was changed, and how it was misused or could not go on', async () => {
    await dataSource.query('update event set bytes = set_byte(bytes, 100, 0) where seq = 17');
    const different = await auditor.run(['replay', '--json']);
    expect(different).toMatchObject({ code: 2 });
    expect(JSON.parse(different.stdout)).toMatchObject({
      equal: false,
      difference: { kind: 'event-bytes-differ', seq: 17, offset: 100 },
    });
    expect((await auditor.run(['replay'])).stdout).toContain(
      'different: table event, seq 17, column bytes: differs at byte offset 100',
    );
    for (const args of [['replay', '--to', '0'], ['replay', 'now'], ['replay', '--fast'], ['audit']]) {
      expect(await auditor.run(args)).toMatchObject({ code: 1 });
    }
    expect(await auditor.run(['replay'], { DATABASE_URL: 'postgresql://127.0.0.1:1/x' })).toMatchObject({ code: 3 });
  });

  it('stops in order when asked', async () => {
    expect(await auditor.end('SIGTERM')).toBe(0);
  });

  it('raises the alarm, not ready and with an exit code, when the position was moved under it', async () => {
    await auditor.start();
    await dataSource.query('update projection set pos = pos + 1');
    await append(4);
    expect(await auditor.exited()).toBe(70);
    expect(auditor.log).toContain('"code":"position-moved"');
    expect(auditor.log).not.toContain(new URL(databaseUrl).password);
  });
});
