import { MemoryEventStore } from '@vouch/eventstore';
import { systemClock } from '@vouch/platform';
import { FakeClock, makeTestAuthors } from '@vouch/testkit';
import { signCheckpoint } from '@vouch/transparency';
import type { DataSource } from 'typeorm';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { AuditDatabases } from '../testing/audit-databases.js';
import { appendAll, deployIds, deployStory } from '../testing/deploy-story.js';
import { EngineHarness, logIdentity } from '../testing/engine-harness.js';
import { describeDifference } from './difference.js';
import { ReplayInterruptedError, type ReplayOptions, replay } from './replay.js';
import { type ReplayReport, reportText } from './replay-report.js';

const authors = makeTestAuthors();
const identity = logIdentity(authors);
let databases: AuditDatabases;
beforeAll(async () => {
  databases = await AuditDatabases.start();
});
afterAll(() => databases.stop());

let store: MemoryEventStore;
let live: DataSource;
let databaseUrl: string;

/** Two deploys, projected and signed. */
beforeEach(async () => {
  store = new MemoryEventStore({ directory: authors.directory, now: new FakeClock().now });
  const database = await databases.migrated();
  [live, databaseUrl] = [database.dataSource, database.url];
  const harness = new EngineHarness({ store, dataSource: live, authors });
  await appendAll(store, deployStory(authors, 1));
  await harness.signedFor(10);
  await appendAll(store, deployStory(authors, 2));
  await harness.signedFor(20);
  await harness.stop();
});

async function run(more: Partial<ReplayOptions> = {}): Promise<ReplayReport> {
  const report = await replay({
    store,
    live,
    databaseUrl,
    verifier: identity,
    directory: authors.directory,
    trustAnchors: [],
    onProgress: () => undefined,
    signal: new AbortController().signal,
    clock: systemClock,
    ...more,
  });
  expect(await scratchSchemas()).toEqual([]);
  return report;
}

async function scratchSchemas(): Promise<unknown[]> {
  return await live.query("select nspname from pg_namespace where nspname like 'vouch_replay_%'");
}

describe('replay of an honest log', () => {
  it('is equal, and says what it checked and what not', async () => {
    const progress: number[] = [];
    const report = await run({ onProgress: (events) => progress.push(events) });
    expect(report).toMatchObject({ equal: true, events: 20, notProjectedYet: 0, difference: null });
    expect(report.rows).toMatchObject({ event: 20, app: 2, instance: 2, operation: 2, key_grant: 2, merkle_node: 18 });
    expect(report.checkpoints).toBeGreaterThanOrEqual(2);
    expect(report.root).toMatch(/^[0-9a-f]{64}$/);
    expect(progress.at(-1)).toBe(20);
    expect(report.checks.filter(({ outcome }) => outcome !== 'pass').map(({ name }) => name)).toEqual([
      'grant evidence',
    ]);
    expect(reportText(report)).toMatch(/\nequal: 20 events, \d+ rows, \d+ checkpoints, root [0-9a-f]{64}, /);
  });

  it('up to an event compares what exists there and skips the rest by name', async () => {
    const report = await run({ to: 7 });
    expect(report).toMatchObject({ equal: true, events: 7 });
    expect(report.rows).toEqual({ event: 7, merkle_node: 4 });
    expect(report.checks.find(({ name }) => name === 'table instance')?.outcome).toBe('skipped');
  });

  it('of nothing is equal', async () => {
    store = new MemoryEventStore({ directory: authors.directory, now: new FakeClock().now });
    const database = await databases.migrated();
    [live, databaseUrl] = [database.dataSource, database.url];
    expect(await run()).toMatchObject({ equal: true, events: 0 });
  });

  it('goes on while the auditor does, and removes what a killed replay left', async () => {
    await live.query('create schema vouch_replay_77');
    await live.query('create table vouch_replay_77.event (seq bigint)');
    const harness = new EngineHarness({ store, dataSource: live, authors });
    const writing = appendAll(store, deployStory(authors, 3));
    expect(await run()).toMatchObject({ equal: true });
    await writing;
    await harness.signedFor(30);
    await harness.stop();
    expect(await run()).toMatchObject({ equal: true, events: 30 });
  });

  it('stops when it is told to, and leaves nothing', async () => {
    await expect(run({ signal: AbortSignal.abort() })).rejects.toBeInstanceOf(ReplayInterruptedError);
    expect(await scratchSchemas()).toEqual([]);
  });
});

describe('replay finds', () => {
  async function differenceAfter(sql: string): Promise<unknown> {
    await live.query(sql);
    const report = await run();
    expect(report.equal).toBe(false);
    if (report.difference === null) throw new Error('no difference');
    expect(reportText(report)).toContain(`different: ${describeDifference(report.difference)}`);
    return report.difference;
  }

  it('one changed byte of an event, and where', async () => {
    const difference = await differenceAfter('update event set bytes = set_byte(bytes, 33, 1) where seq = 13');
    expect(difference).toMatchObject({ kind: 'event-bytes-differ', seq: 13, offset: 33 });
    expect(describeDifference(difference as never)).toMatch(
      /^table event, seq 13, column bytes: differs at byte offset 33 /,
    );
  });

  it('a shortened event', async () => {
    const sql = 'update event set bytes = substring(bytes from 1 for length(bytes) - 1) where seq = 2';
    expect(await differenceAfter(sql)).toMatchObject({ kind: 'event-bytes-differ', seq: 2 });
  });

  it('a lost event, and one that never was', async () => {
    expect(await differenceAfter('delete from event where seq = 5')).toEqual({ kind: 'event-missing', seq: 5 });
  });

  it('a row of an event that the log does not have', async () => {
    const sql = `insert into event select 21, subject, gen_random_uuid(), type, kind, time, actor, cause, corr, bytes, leaf_hash
      from event where seq = 1`;
    expect(await differenceAfter(sql)).toEqual({ kind: 'row-extra', table: 'event', key: { seq: '21' } });
  });

  it('a changed column of a projected row', async () => {
    const { instanceId } = deployIds(2);
    const sql = `update instance set state = 'denied' where instance_id = '${instanceId}'`;
    expect(await differenceAfter(sql)).toEqual({
      kind: 'row-differs',
      table: 'instance',
      key: { instance_id: instanceId },
      column: 'state',
      live: 'denied',
      replayed: 'healthy',
    });
  });

  it.each([
    ['event', 'actor', "update event set actor = 'mallory' where seq = 4"],
    ['event', 'leaf_hash', "update event set leaf_hash = sha256('x') where seq = 4"],
    ['app', 'owner', "update app set owner = 'mallory'"],
    ['release', 'ports', "update release set ports = '{1}'"],
    ['operation', 'steps', `update operation set steps = jsonb_set(steps, '{0,summary}', '"x"')`],
    ['operation', 'result', 'update operation set result = null'],
    ['key_grant', 'decided_at', "update key_grant set decided_at = decided_at + interval '1 ms'"],
    ['merkle_node', 'hash', "update merkle_node set hash = sha256('x') where level = 1 and index = 3"],
  ])('a change of %s.%s', async (table, column, sql) => {
    expect(await differenceAfter(sql)).toMatchObject({ kind: 'row-differs', table, column });
  });

  it('a removed and an invented row', async () => {
    const { appId } = deployIds(1);
    expect(await differenceAfter(`delete from app where app_id = '${appId}'`)).toEqual({
      kind: 'row-missing',
      table: 'app',
      key: { app_id: appId },
    });
    await live.query(`insert into app select '${appId}', name, owner, registered_at, seq from app`);
    const invented = "insert into host values ('ghost', 'qemu', 1, 1, false, '', '{}', now(), 1)";
    expect(await differenceAfter(`delete from app where app_id = '${appId}'; ${invented}`)).toMatchObject({
      table: 'app',
    });
  });

  it('an invented host', async () => {
    const sql = "insert into host values ('ghost', 'qemu', 1, 1, false, '', '{}', now(), 1)";
    expect(await differenceAfter(sql)).toEqual({ kind: 'row-extra', table: 'host', key: { host_id: 'ghost' } });
  });

  it('a checkpoint that signs another root, is not signed, or signs for more than there is', async () => {
    const root = new Uint8Array(32);
    const forged = signCheckpoint({ origin: identity.origin, size: 20, root, time: null }, identity);
    const forge = `update checkpoint set root = '\\x${'00'.repeat(32)}', note = '${forged}' where size = 20`;
    expect(await differenceAfter(forge)).toMatchObject({ kind: 'checkpoint-root-differs', size: 20 });
    const unsigned = "update checkpoint set note = replace(note, '20', '21') where size = 20";
    expect(await differenceAfter(unsigned)).toMatchObject({ kind: 'checkpoint-invalid', size: 20 });
    await live.query('delete from checkpoint where size = 20');
    const beyond = `insert into checkpoint select 25, root, note, signed_at from checkpoint limit 1`;
    expect(await differenceAfter(beyond)).toMatchObject({ kind: 'checkpoint-invalid', size: 25 });
  });

  it('a position that was moved', async () => {
    expect(await differenceAfter('update projection set pos = 21')).toMatchObject({ kind: 'log-cut', lastSeq: 20 });
    expect(await differenceAfter('update projection set pos = 19')).toMatchObject({ kind: 'checkpoint-invalid' });
  });

  it('a table that is gone', async () => {
    expect(await differenceAfter('drop table key_grant')).toMatchObject({ kind: 'live-unreadable' });
  });

  it('a hole, a cut and a forged event in the log itself', async () => {
    store.damageDrop(12);
    expect((await run()).difference).toMatchObject({ kind: 'log-gap', seq: 12 });
    store.damageTruncate(11);
    expect((await run()).difference).toMatchObject({ kind: 'log-cut', lastSeq: 11, position: 20 });
    const [event] = deployStory(authors, 9);
    const changed = Buffer.from(event?.bytes ?? [])
      .toString('utf8')
      .replace('"owner":"ann"', '"owner":"eve"');
    for (let seq = 12; seq <= 20; seq += 1) store.injectRaw(event?.envelope.subject ?? '', Buffer.from(changed));
    expect((await run()).difference).toMatchObject({ kind: 'event-rejected', code: 'event-signature-invalid' });
  });
});
