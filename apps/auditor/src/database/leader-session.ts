import { setTimeout as delay } from 'node:timers/promises';
import type { DataSource } from 'typeorm';
import { RunnerSession, type SqlResult, type SqlSession } from './sql-session.js';

/** Advisory lock of the one auditor that may project and sign in a database: "vouc", 2. */
const LEADER_LOCK = [0x766f7563, 2] as const;
const RETRY_MS = 500;

/**
 * The one connection that holds the leader lock. Everything the leader writes goes through this same connection, so that
 * an auditor whose lock was lost (its connection is gone) cannot write either: the fence and the pen are one.
 */
export class LeaderSession implements SqlSession {
  readonly #session: RunnerSession;

  private constructor(session: RunnerSession) {
    this.#session = session;
  }

  /** Waits until this process is the leader. Undefined when `signal` aborts first. Throws DatabaseError. */
  static async acquire(dataSource: DataSource, signal: AbortSignal): Promise<LeaderSession | undefined> {
    const session = new RunnerSession(dataSource);
    try {
      while (!signal.aborted) {
        const { rows } = await session.query('select pg_try_advisory_lock($1, $2) as held', LEADER_LOCK);
        if (rows[0]?.held === true) return new LeaderSession(session);
        await delay(RETRY_MS, undefined, { signal }).catch(() => undefined);
      }
    } catch (error) {
      await session.release();
      throw error;
    }
    await session.release();
    return undefined;
  }

  query(sql: string, parameters?: readonly unknown[]): Promise<SqlResult> {
    return this.#session.query(sql, parameters);
  }

  /** Gives the lock back and the connection to the pool. */
  async release(): Promise<void> {
    await this.#session.query('select pg_advisory_unlock($1, $2)', LEADER_LOCK).catch(() => undefined);
    await this.#session.release();
  }
}
