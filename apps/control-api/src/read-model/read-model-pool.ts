import { asError, type FieldLogger } from '@vouch/platform';
import pg from 'pg';
import { ProblemError } from '../problems/problem-error.js';

/** How long a query may take, ms, before the database is called unavailable. */
const QUERY_LIMIT_MS = 5_000;
const CONNECT_LIMIT_MS = 2_000;

/** Runs read-only queries on the audit database. */
export interface ReadModelQueries {
  /** Throws ProblemError 503 when the database does not answer. */
  query<R extends object>(text: string, values?: readonly unknown[]): Promise<R[]>;
}

/** int8 as number (positions stay far below 2^53), timestamptz as ISO 8601 UTC with milliseconds; the rest as pg has it. */
const types = {
  getTypeParser(oid: number, format?: 'text' | 'binary') {
    if (oid === pg.types.builtins.INT8) return Number;
    if (oid === pg.types.builtins.TIMESTAMPTZ) return (value: string) => new Date(value).toISOString();
    return pg.types.getTypeParser(oid, format);
  },
} as pg.CustomTypesConfig;

export class ReadModelPool implements ReadModelQueries {
  readonly #pool: pg.Pool;

  constructor(
    databaseUrl: string,
    private readonly logger: FieldLogger,
  ) {
    this.#pool = new pg.Pool({
      connectionString: databaseUrl,
      max: 10,
      connectionTimeoutMillis: CONNECT_LIMIT_MS,
      query_timeout: QUERY_LIMIT_MS,
      statement_timeout: QUERY_LIMIT_MS,
      idleTimeoutMillis: 30_000,
      application_name: 'vouch-control-api',
      options: '-c default_transaction_read_only=on',
      types,
    });
    // An idle connection that breaks must not end the process; the next query gets a new one.
    this.#pool.on('error', (error) => this.logger.warn({ err: error }, 'lost a connection to the audit database'));
  }

  async query<R extends object>(text: string, values: readonly unknown[] = []): Promise<R[]> {
    try {
      return (await this.#pool.query<R & pg.QueryResultRow>(text, [...values])).rows;
    } catch (thrown) {
      const cause = asError(thrown);
      throw new ProblemError({
        status: 503,
        code: 'read-model-unavailable',
        detail: 'the audit database does not answer; commands are still accepted',
        retryable: true,
        cause,
      });
    }
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }
}
