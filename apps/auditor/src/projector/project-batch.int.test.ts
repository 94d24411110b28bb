import { MemoryTables, projectEvent, projectionTables, type TableName, tableNames } from '@vouch/domain';
import { MemoryEventStore, type StoredEvent } from '@vouch/eventstore';
import { FakeClock, makeTestAuthors } from '@vouch/testkit';
import { CompactRange, MemoryTree } from '@vouch/transparency';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { withSession } from '../database/sql-session.js';
import { AuditDatabases } from '../testing/audit-databases.js';
import { appendAll, deployIds, deployStory, HOST } from '../testing/deploy-story.js';
import { FailingSession } from '../testing/failing-session.js';
import { dumpTables } from '../testing/table-dump.js';
import { loadRange } from './merkle-store.js';
import { projectBatch } from './project-batch.js';

const authors = makeTestAuthors();
let databases: AuditDatabases;
beforeAll(async () => {
  databases = await AuditDatabases.start();
});
afterAll(() => databases.stop());

async function stored(deploys: number): Promise<StoredEvent[]> {
  const store = new MemoryEventStore({ directory: authors.directory, now: new FakeClock().now });
  for (let n = 1; n <= deploys; n += 1) await appendAll(store, deployStory(authors, n));
  return await all(store);
}

async function all(store: MemoryEventStore): Promise<StoredEvent[]> {
  const events: StoredEvent[] = [];
  for await (const event of store.read({ fromSeq: 1, follow: false })) events.push(event);
  return events;
}

/** A table of the database in the form of the in-memory twin. */
async function liveRows(dataSource: Awaited<ReturnType<AuditDatabases['connect']>>, table: TableName) {
  const { columns, key } = projectionTables[table];
  const rows: Record<string, unknown>[] = await dataSource.query(
    `select * from ${table} order by ${key.map((column) => `${column} collate "C"`).join(', ')}`,
  );
  return rows.map((row) =>
    Object.fromEntries(
      Object.entries(columns).map(([name, { kind }]) => {
        const value = row[name];
        if (value === null || value === undefined) return [name, value];
        if (kind === 'int') return [name, Number(value)];
        return [name, kind === 'time' ? (value as Date).toISOString() : value];
      }),
    ),
  );
}

describe('a batch', () => {
  it('leaves the rows the in-memory tables have, the bytes, and the root of the definition', async () => {
    const { dataSource } = await databases.migrated();
    const events = await stored(7);
    const [memory, tree] = [new MemoryTables(), new MemoryTree()];
    for (const event of events) {
      memory.apply(projectEvent(event));
      tree.append(event.bytes);
    }
    await withSession(dataSource, async (session) => {
      let range = CompactRange.empty();
      for (let from = 0; from < events.length; from += 9) {
        range = await projectBatch(session, range, events.slice(from, from + 9));
      }
      expect(Buffer.from(range.root())).toEqual(Buffer.from(tree.root()));
      expect(Buffer.from((await loadRange(session, events.length)).root())).toEqual(Buffer.from(tree.root()));
    });
    for (const table of tableNames) expect(await liveRows(dataSource, table), table).toEqual(memory.rows(table));
    const copies: { bytes: Buffer }[] = await dataSource.query('select bytes from event order by seq');
    expect(copies.map(({ bytes }) => bytes.toString())).toEqual(
      events.map(({ bytes }) => Buffer.from(bytes).toString()),
    );
    expect(await liveRows(dataSource, 'instance')).toHaveLength(7);
    expect(await dataSource.query('select state from instance limit 1')).toEqual([{ state: 'healthy' }]);
  });

  it.each(['before', 'after'] as const)('broken off %s any statement is there whole or not at all', async (moment) => {
    const { dataSource } = await databases.migrated();
    const events = await stored(2);
    const untouched = await dumpTables(dataSource);
    let complete = false;
    let statement = 0;
    while (!complete) {
      statement += 1;
      await withSession(dataSource, async (session) => {
        const failing = new FailingSession(session, statement, moment);
        const attempt = projectBatch(failing, CompactRange.empty(), events);
        const failure = await attempt.then(
          () => undefined,
          (error: unknown) => error,
        );
        if (failure === undefined) complete = true;
        else expect(failure).toMatchObject({ sqlState: '08006' });
        // The connection a real loss takes away is still here: end its transaction as the server would.
        await session.query('rollback');
      });
      if (complete) break;
      const now = await dumpTables(dataSource);
      // A lost answer to the commit is the one case in which everything is there.
      if (now.projection?.[0] === untouched.projection?.[0]) expect(now, `statement ${statement}`).toEqual(untouched);
      else {
        expect(moment).toBe('after');
        break;
      }
    }
    expect(statement).toBeGreaterThan(10);
    const positions: unknown = await dataSource.query('select pos from projection');
    expect(positions).toEqual([{ pos: String(events.length) }]);
    // Whoever does not know that it is done is refused, not applied twice.
    const again = withSession(dataSource, (session) => projectBatch(session, CompactRange.empty(), events));
    await expect(again).rejects.toMatchObject({ code: 'position-moved' });
  });

  it('is refused when the position has moved, or when it does not follow', async () => {
    const { dataSource } = await databases.migrated();
    const events = await stored(1);
    await dataSource.query('update projection set pos = 5');
    const moved = withSession(dataSource, (session) => projectBatch(session, CompactRange.empty(), events));
    await expect(moved).rejects.toMatchObject({ code: 'position-moved', retryable: false });
    const skipping = withSession(dataSource, (session) => projectBatch(session, CompactRange.empty(), events.slice(1)));
    await expect(skipping).rejects.toMatchObject({ code: 'position-moved' });
    expect(await dataSource.query('select count(*)::int as count from event')).toEqual([{ count: 0 }]);
  });

  it('takes what a hostile author may write: NUL, lone surrogates, quotes, the year 0, huge numbers', async () => {
    const { dataSource } = await databases.migrated();
    const store = new MemoryEventStore({ directory: authors.directory, now: new FakeClock().now });
    await appendAll(store, deployStory(authors, 1).slice(0, 6));
    const { instanceId } = deployIds(1);
    const at = { hostId: HOST, instanceId, epoch: 1 };
    const worker = authors.of('host-worker', HOST);
    const reason = `'); drop table app; --\0\u{1f98a}"\\`;
    await appendAll(store, [
      authors.event(
        worker,
        'vm.exited',
        { ...at, exitCode: Number.MAX_SAFE_INTEGER, reason, requested: false },
        { time: new Date('0000-01-01T00:00:00.000Z'), actor: 'nul\0actor' },
      ),
      authors.event(authors.of('control-api'), 'host.registered', {
        hostId: 'host-9',
        driver: 'qemu',
        capacity: { vcpu: Number.MAX_SAFE_INTEGER, memoryMiB: 1 },
        unsafe: [],
      }),
    ]);
    await withSession(dataSource, async (session) => projectBatch(session, CompactRange.empty(), await all(store)));
    const [row] = await liveRows(dataSource, 'instance');
    expect(row).toMatchObject({ state: 'failed', updated_at: '0000-01-01T00:00:00.000Z' });
    expect(row?.reason).toContain(`'); drop table app; --\ufffd\u{1f98a}"\\`);
    expect((await liveRows(dataSource, 'host'))[0]).toMatchObject({ vcpu: Number.MAX_SAFE_INTEGER });
  });
});
