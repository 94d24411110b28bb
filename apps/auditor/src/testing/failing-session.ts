import { DatabaseError } from '../database/database-error.js';
import type { SqlResult, SqlSession } from '../database/sql-session.js';

/** `before`: the statement never reached the server. `after`: it was carried out, but its answer was lost. */
export type FailureMoment = 'before' | 'after';

/** Breaks off at its `failAt`-th statement (from 1), once, like a connection that is lost there; counts statements. */
export class FailingSession implements SqlSession {
  statements = 0;
  hasFailed = false;

  constructor(
    private readonly inner: SqlSession,
    private readonly failAt: number,
    private readonly moment: FailureMoment,
  ) {}

  async query(sql: string, parameters?: readonly unknown[]): Promise<SqlResult> {
    this.statements += 1;
    const fails = this.statements === this.failAt;
    if (fails && this.moment === 'before') this.#fail();
    const result = await this.inner.query(sql, parameters);
    if (fails) this.#fail();
    return result;
  }

  #fail(): never {
    this.hasFailed = true;
    throw new DatabaseError('connection lost by the test', '08006', undefined, true);
  }
}
