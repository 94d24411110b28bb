import { randomInt } from 'node:crypto';
import { auditDataSource, migrateDatabase } from '@vouch/migrations';
import type { DataSource } from 'typeorm';
import { type SqlSession, withSession } from '../database/sql-session.js';

/** First key of the locks that say "this scratch schema is in use": "voup"; the second is the schema's number. */
const SCRATCH_LOCK = 0x766f7570;
const PREFIX = 'vouch_replay_';
const MAX_NUMBER = 2 ** 31 - 1;

/**
 * Runs `work` on a schema of its own with all tables, made by the live migrations, and drops it afterwards, whatever
 * happened. Leftovers of replays that were killed are dropped first: their lock is free.
 */
export async function withScratchSchema<R>(
  live: DataSource,
  url: string,
  work: (session: SqlSession) => Promise<R>,
): Promise<R> {
  return await withSession(live, async (holder) => {
    await dropLeftovers(holder);
    const number = randomInt(1, MAX_NUMBER);
    const schema = `${PREFIX}${number}`;
    await holder.query('select pg_advisory_lock($1, $2)', [SCRATCH_LOCK, number]);
    try {
      await holder.query(`create schema ${schema}`);
      return await withTables(url, schema, work);
    } finally {
      await holder.query(`drop schema if exists ${schema} cascade`);
      await holder.query('select pg_advisory_unlock($1, $2)', [SCRATCH_LOCK, number]);
    }
  });
}

async function withTables<R>(url: string, schema: string, work: (session: SqlSession) => Promise<R>): Promise<R> {
  const scratch = auditDataSource({ url, schema, applicationName: 'vouch-replay', poolSize: 2 });
  await scratch.initialize();
  try {
    await migrateDatabase(scratch);
    return await withSession(scratch, async (session) => {
      // The scratch tables live as long as this command: nothing there needs to survive a crash.
      await session.query('set synchronous_commit = off');
      await dropSearchIndexes(session, schema);
      return await work(session);
    });
  } finally {
    await scratch.destroy();
  }
}

/** Indexes that only serve searches cost as much as the rows; the one that finds open operations serves the rebuild. */
async function dropSearchIndexes(session: SqlSession, schema: string): Promise<void> {
  const { rows } = await session.query(
    `select c.relname as name from pg_index i join pg_class c on c.oid = i.indexrelid
     join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = $1 and not i.indisunique and c.relname <> 'operation_open'`,
    [schema],
  );
  for (const { name } of rows) await session.query(`drop index ${schema}.${String(name)}`);
}

async function dropLeftovers(session: SqlSession): Promise<void> {
  const { rows } = await session.query('select nspname as name from pg_namespace where nspname ~ $1', [
    `^${PREFIX}[0-9]{1,10}$`,
  ]);
  for (const { name } of rows) {
    const schema = String(name);
    const number = Number(schema.slice(PREFIX.length));
    if (number > MAX_NUMBER) continue;
    const lock = await session.query('select pg_try_advisory_lock($1, $2) as free', [SCRATCH_LOCK, number]);
    if (lock.rows[0]?.free !== true) continue;
    await session.query(`drop schema if exists ${schema} cascade`);
    await session.query('select pg_advisory_unlock($1, $2)', [SCRATCH_LOCK, number]);
  }
}
