import type { DataSource, QueryRunner } from 'typeorm';
import { databaseError } from './database-error.js';

export type SqlRow = Readonly<Record<string, unknown>>;

export interface SqlResult {
  readonly rows: readonly SqlRow[];
  /** Rows an insert, update or delete touched. */
  readonly affected: number;
}

/** One connection: statements run in order, and what one set (a lock, a transaction) the next one sees. */
export interface SqlSession {
  /** Throws DatabaseError, which never carries the parameters. */
  query(sql: string, parameters?: readonly unknown[]): Promise<SqlResult>;
}

/** A session over a TypeORM query runner. */
export class RunnerSession implements SqlSession {
  readonly #runner: QueryRunner;

  constructor(dataSource: DataSource) {
    this.#runner = dataSource.createQueryRunner();
  }

  async query(sql: string, parameters: readonly unknown[] = []): Promise<SqlResult> {
    try {
      const result = await this.#runner.query(sql, [...parameters], true);
      return { rows: (result.records ?? []) as SqlRow[], affected: result.affected ?? 0 };
    } catch (error) {
      throw databaseError(error);
    }
  }

  async release(): Promise<void> {
    await this.#runner.release();
  }
}

/**
 * Runs `work` in one transaction: committed when it returns, rolled back when it throws. A throw by the commit itself
 * leaves open whether it was carried out: the caller has to look.
 */
export async function inTransaction<R>(session: SqlSession, work: () => Promise<R>): Promise<R> {
  await session.query('begin');
  try {
    const result = await work();
    await session.query('commit');
    return result;
  } catch (error) {
    // If the roll-back fails too, the connection is gone and the server has rolled back already.
    await session.query('rollback').catch(() => undefined);
    throw error;
  }
}

/** Runs `work` on a connection of its own from the pool. */
export async function withSession<R>(dataSource: DataSource, work: (session: SqlSession) => Promise<R>): Promise<R> {
  const session = new RunnerSession(dataSource);
  try {
    return await work(session);
  } finally {
    await session.release();
  }
}
