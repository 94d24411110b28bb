import type { SqlSession } from '../database/sql-session.js';
import { IntegrityError } from './integrity-error.js';
import { bytesOf } from './merkle-store.js';

export interface StoredCheckpoint {
  /** Number of leaves: every event up to this sequence is covered. */
  readonly size: number;
  readonly root: Uint8Array;
  readonly note: string;
  readonly signedAt: Date;
}

/** Persists a checkpoint unless one of this size or a larger one exists: IntegrityError `checkpoint-went-back`. */
export async function insertCheckpoint(session: SqlSession, checkpoint: StoredCheckpoint): Promise<void> {
  const { affected } = await session.query(
    `insert into checkpoint (size, root, note, signed_at)
     select $1::bigint, $2::bytea, $3::text, $4::timestamptz
     where not exists (select from checkpoint where size >= $1::bigint)`,
    [checkpoint.size, Buffer.from(checkpoint.root), checkpoint.note, checkpoint.signedAt.toISOString()],
  );
  if (affected !== 1) {
    throw new IntegrityError('checkpoint-went-back', `a checkpoint of ${checkpoint.size} leaves or more is signed`);
  }
}

/** The largest checkpoint, or undefined when none was signed yet. */
export async function latestCheckpoint(session: SqlSession): Promise<StoredCheckpoint | undefined> {
  return await one(session, 'select size, root, note, signed_at from checkpoint order by size desc limit 1', []);
}

/** The smallest checkpoint that covers `seq`: asked again, the same receipt comes out. */
export async function coveringCheckpoint(session: SqlSession, seq: number): Promise<StoredCheckpoint | undefined> {
  const sql = 'select size, root, note, signed_at from checkpoint where size >= $1 order by size limit 1';
  return await one(session, sql, [seq]);
}

async function one(
  session: SqlSession,
  sql: string,
  parameters: readonly unknown[],
): Promise<StoredCheckpoint | undefined> {
  const { rows } = await session.query(sql, parameters);
  const row = rows[0];
  if (row === undefined) return undefined;
  return {
    size: Number(row.size),
    root: bytesOf(row.root),
    note: String(row.note),
    signedAt: row.signed_at as Date,
  };
}
