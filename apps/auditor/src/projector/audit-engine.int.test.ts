import { authorEvent, canonicalBytes } from '@vouch/domain';
import { MemoryEventStore } from '@vouch/eventstore';
import { FakeClock, makeTestAuthors, strangerAuthor } from '@vouch/testkit';
import { verifyConsistency, verifyReceipt } from '@vouch/transparency';
import type { DataSource } from 'typeorm';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { withSession } from '../database/sql-session.js';
import { AuditDatabases } from '../testing/audit-databases.js';
import { appendAll, deployIds, deployStory } from '../testing/deploy-story.js';
import { EngineHarness, type HarnessOptions, logIdentity } from '../testing/engine-harness.js';
import { FailingSession, type FailureMoment } from '../testing/failing-session.js';
import { dumpTables } from '../testing/table-dump.js';
import { insertCheckpoint } from './checkpoint-store.js';

const authors = makeTestAuthors();
const identity = logIdentity(authors);
const harnesses: EngineHarness[] = [];
let databases: AuditDatabases;
beforeAll(async () => {
  databases = await AuditDatabases.start();
});
afterEach(async () => {
  await Promise.all(harnesses.splice(0).map((harness) => harness.stop()));
});
afterAll(() => databases.stop());

function newStore(): MemoryEventStore {
  return new MemoryEventStore({ directory: authors.directory, now: new FakeClock().now });
}

function start(options: Omit<HarnessOptions, 'authors'>): EngineHarness {
  const harness = new EngineHarness({ ...options, authors });
  harnesses.push(harness);
  return harness;
}

async function count(dataSource: DataSource, table: string): Promise<number> {
  const [row]: { n: number }[] = await dataSource.query(`select count(*)::int as n from ${table}`);
  return row?.n ?? -1;
}

describe('following the log', () => {
  it('projects, signs what is new, and gives receipts that verify', async () => {
    const { dataSource } = await databases.migrated();
    const store = newStore();
    const harness = start({ store, dataSource });
    const events = deployStory(authors, 1);
    await appendAll(store, events);
    await harness.signedFor(events.length);
    for (const [index, event] of events.entries()) {
      const verified = verifyReceipt(await harness.receipts.receipt(index + 1), identity);
      expect(Buffer.from(verified.event).equals(event.bytes)).toBe(true);
    }
    expect((await harness.receipts.checkpoint()).size).toBe(events.length);
    expect(await harness.stop()).toBeUndefined();
  });

  it('makes a receipt wait for its event, and proves that later checkpoints extend earlier ones', async () => {
    const { dataSource } = await databases.migrated();
    const store = newStore();
    const harness = start({ store, dataSource });
    const waiting = harness.receipts.receipt(4);
    await appendAll(store, deployStory(authors, 1));
    const first = verifyReceipt(await waiting, identity);
    expect(first.seq).toBe(4);
    await appendAll(store, deployStory(authors, 2));
    const second = verifyReceipt(await harness.receipts.receipt(20), identity);
    const [from, to] = [first.checkpoint, second.checkpoint];
    const proof = (await harness.receipts.consistency(from.size, to.size)).map((hash) => Buffer.from(hash, 'base64'));
    verifyConsistency({ oldSize: from.size, newSize: to.size, oldRoot: from.root, newRoot: to.root, proof });
  });

  it('refuses a receipt that is not to be had', async () => {
    const { dataSource } = await databases.migrated();
    const store = newStore();
    const harness = start({ store, dataSource });
    await expect(harness.receipts.receipt(1, 1)).rejects.toMatchObject({ code: 'receipt-not-ready', retryable: true });
    await expect(harness.receipts.checkpoint()).rejects.toMatchObject({ code: 'checkpoint-unknown' });
    for (const seq of [0, -1, 1.5, Number.NaN, 2 ** 60]) {
      await expect(harness.receipts.receipt(seq)).rejects.toMatchObject({ code: 'receipt-request-invalid' });
    }
    await appendAll(store, deployStory(authors, 1));
    await harness.signedFor(10);
    await expect(harness.receipts.consistency(5, 11)).rejects.toMatchObject({ code: 'receipt-request-invalid' });
    await dataSource.query("update event set bytes = bytes || '\\x00'::bytea where seq = 3");
    await expect(harness.receipts.receipt(3)).rejects.toMatchObject({ code: 'receipt-unprovable' });
  });

  it('continues after a restart where it was', async () => {
    const { dataSource } = await databases.migrated();
    const store = newStore();
    await appendAll(store, deployStory(authors, 1));
    const first = start({ store, dataSource });
    await first.signedFor(10);
    await first.stop();
    await appendAll(store, deployStory(authors, 2));
    const second = start({ store, dataSource });
    await second.signedFor(20);
    expect(await count(dataSource, 'event')).toBe(20);
    expect(verifyReceipt(await second.receipts.receipt(3), identity).seq).toBe(3);
  });
});

describe('interruptions', () => {
  it.each<FailureMoment>(['before', 'after'])('a loss %s any statement changes nothing in the end', async (moment) => {
    const store = newStore();
    await appendAll(store, deployStory(authors, 1));
    const undisturbed = await databases.migrated();
    await start({ store, dataSource: undisturbed.dataSource }).signedFor(10);
    const { checkpoint: _, ...expected } = await dumpTables(undisturbed.dataSource);
    let hasFailed = true;
    for (let statement = 1; hasFailed; statement += 3) {
      const { dataSource } = await databases.migrated();
      let failing: FailingSession | undefined;
      const harness = start({
        store,
        dataSource,
        wrapSession: (session) => {
          if (failing !== undefined) return session;
          failing = new FailingSession(session, statement, moment);
          return failing;
        },
      });
      await harness.signedFor(10);
      await harness.stop();
      hasFailed = failing?.hasFailed === true;
      expect(harness.retries).toHaveLength(hasFailed ? 1 : 0);
      const { checkpoint: __, ...now } = await dumpTables(dataSource);
      expect(now, `statement ${statement}`).toEqual(expected);
      await dataSource.destroy();
    }
  });

  it('survives the end of its database session, and takes the lead again', async () => {
    const { dataSource } = await databases.migrated();
    const store = newStore();
    const harness = start({ store, dataSource });
    await appendAll(store, deployStory(authors, 1));
    await harness.signedFor(10);
    await dataSource.query(
      `select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and database =
         (select oid from pg_database where datname = current_database())`,
    );
    await appendAll(store, deployStory(authors, 2));
    await harness.signedFor(20);
    expect(harness.retries.length).toBeGreaterThan(0);
    expect(await count(dataSource, 'event')).toBe(20);
  });

  it('waits while the log is away', async () => {
    const { dataSource } = await databases.migrated();
    const store = newStore();
    store.setUnavailable(true);
    const harness = start({ store, dataSource });
    await harness.until(() => harness.retries.length > 0);
    store.setUnavailable(false);
    await appendAll(store, deployStory(authors, 1));
    await harness.signedFor(10);
  });
});

describe('a second auditor', () => {
  it('stands by, answers from what the first signed, cannot sign, and takes over', async () => {
    const { dataSource, url } = await databases.migrated();
    const store = newStore();
    const first = start({ store, dataSource });
    await first.until(() => first.engine.isLeading);
    const second = start({ store, dataSource: await databases.connect(url) });
    await appendAll(store, deployStory(authors, 1));
    expect(verifyReceipt(await second.receipts.receipt(10), identity).seq).toBe(10);
    expect(second.states).toEqual(['standby']);
    expect(second.checkpoints).toEqual([]);
    await first.stop();
    await second.until(() => second.engine.isLeading);
    await appendAll(store, deployStory(authors, 2));
    await second.signedFor(20);
  });

  it('that writes anyway stops the first instead of both going on', async () => {
    const { dataSource } = await databases.migrated();
    const store = newStore();
    const harness = start({ store, dataSource });
    await appendAll(store, deployStory(authors, 1));
    await harness.signedFor(10);
    await dataSource.query('update projection set pos = 11');
    await appendAll(store, deployStory(authors, 2));
    expect(await harness.ended).toMatchObject({ code: 'position-moved' });
  });

  it('cannot sign a smaller or an equal size', async () => {
    const { dataSource } = await databases.migrated();
    const checkpoint = { size: 5, root: new Uint8Array(32), note: 'note', signedAt: new Date(0) };
    await withSession(dataSource, async (session) => {
      await insertCheckpoint(session, checkpoint);
      for (const size of [4, 5]) {
        const refused = insertCheckpoint(session, { ...checkpoint, size });
        await expect(refused).rejects.toMatchObject({ code: 'checkpoint-went-back' });
      }
    });
  });
});

describe('damage stops it', () => {
  async function projected(): Promise<{ store: MemoryEventStore; dataSource: DataSource }> {
    const { dataSource } = await databases.migrated();
    const store = newStore();
    await appendAll(store, deployStory(authors, 1));
    const harness = start({ store, dataSource });
    await harness.signedFor(10);
    await harness.stop();
    return { store, dataSource };
  }

  async function endOf(store: MemoryEventStore, dataSource: DataSource): Promise<unknown> {
    const harness = start({ store, dataSource });
    const end = await harness.ended;
    expect(harness.retries).toEqual([]);
    return end;
  }

  it('a hole in the log', async () => {
    const { store, dataSource } = await projected();
    await appendAll(store, deployStory(authors, 2));
    store.damageDrop(15);
    expect(await endOf(store, dataSource)).toMatchObject({ code: 'sequence-gap', expectedSeq: 15 });
    expect(await count(dataSource, 'event')).toBe(14);
  });

  it('a log that was cut', async () => {
    const { store, dataSource } = await projected();
    store.damageTruncate(6);
    expect(await endOf(store, dataSource)).toMatchObject({ code: 'stream-went-back', lastSeq: 6, knownSeq: 10 });
  });

  it('a log that was cut and written anew', async () => {
    const { store, dataSource } = await projected();
    store.damageTruncate(9);
    await appendAll(store, deployStory(authors, 3));
    expect(await endOf(store, dataSource)).toMatchObject({ code: 'copy-differs' });
    expect(await count(dataSource, 'event')).toBe(10);
  });

  it('an event by an unknown author', async () => {
    const { store, dataSource } = await projected();
    const { appId } = deployIds(5);
    const forged = authorEvent(strangerAuthor('control-api'), {
      id: '99999999-9999-4999-8999-999999999999',
      type: 'app.registered',
      data: { appId, name: 'forged', owner: 'mallory' },
      time: new Date('2026-01-01T00:00:00.000Z'),
      actor: 'mallory',
      cause: '',
      corr: '',
    });
    store.injectRaw(forged.envelope.subject, forged.bytes);
    expect(await endOf(store, dataSource)).toMatchObject({ code: 'event-author-unknown' });
    expect(await count(dataSource, 'event')).toBe(10);
    expect(await count(dataSource, 'app')).toBe(1);
  });

  it('an event of an unknown type, and bytes that are no event', async () => {
    const { store, dataSource } = await projected();
    const [event] = deployStory(authors, 6);
    const unknown = canonicalBytes({ ...event?.envelope, type: 'app.exploded' });
    store.injectRaw(event?.envelope.subject ?? '', unknown);
    expect(await endOf(store, dataSource)).toMatchObject({ code: 'event-type-unknown' });
    const other = await projected();
    other.store.injectRaw('evt.app.x', Uint8Array.of(1, 2, 3));
    expect(await endOf(other.store, other.dataSource)).toMatchObject({ code: 'event-malformed' });
  });

  it('an event with a changed byte', async () => {
    const { store, dataSource } = await projected();
    const [event] = deployStory(authors, 6);
    const changed = Buffer.from(event?.bytes ?? [])
      .toString('utf8')
      .replace('"owner":"ann"', '"owner":"eve"');
    store.injectRaw(event?.envelope.subject ?? '', Buffer.from(changed));
    expect(await endOf(store, dataSource)).toMatchObject({ code: 'event-signature-invalid' });
  });

  it('the same event stored twice', async () => {
    const { store, dataSource } = await projected();
    const [event] = deployStory(authors, 7);
    for (let i = 0; i < 2; i += 1) store.injectRaw(event?.envelope.subject ?? '', event?.bytes ?? new Uint8Array());
    expect(await endOf(store, dataSource)).toMatchObject({ code: 'event-id-duplicate' });
  });

  it('a copy that lost events, or a tree without the signed root', async () => {
    const one = await projected();
    await one.dataSource.query('delete from event where seq = 10');
    expect(await endOf(one.store, one.dataSource)).toMatchObject({ code: 'copy-incomplete' });
    const two = await projected();
    await two.dataSource.query("update merkle_node set hash = sha256('x') where level = 3");
    expect(await endOf(two.store, two.dataSource)).toMatchObject({ code: 'tree-differs' });
    const three = await projected();
    await three.dataSource.query('delete from merkle_node where level = 3');
    expect(await endOf(three.store, three.dataSource)).toMatchObject({ code: 'copy-incomplete' });
  });
});
