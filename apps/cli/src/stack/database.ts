import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import pg from 'pg';
import { CliFailure, exitCodes } from '../failure.js';
import type { Layout } from './layout.js';
import { keepPrivate } from './private-file.js';

/** Connection URLs of the audit database (owner and reader) and of the jobs database. They hold passwords: never log them. */
export interface DatabaseUrls {
  readonly databaseUrl: string;
  readonly readerDatabaseUrl: string;
  readonly jobsDatabaseUrl: string;
  readonly readerPassword: string;
}

const AUDIT_DATABASE = 'vouch';
const JOBS_DATABASE = 'vouch_jobs';
/** Role that the migrations create for control-api: it may read and nothing else. */
const READER_ROLE = 'vouch_reader';

/** Makes the two databases when they are missing. `adminUrl` is a role that may create databases. */
export async function prepareDatabases(layout: Layout, adminUrl: string): Promise<DatabaseUrls> {
  const client = new pg.Client({ connectionString: adminUrl, connectionTimeoutMillis: 10_000 });
  try {
    await client.connect();
  } catch (cause) {
    throw new CliFailure(
      exitCodes.network,
      `Postgres does not answer: ${(cause as Error).message}`,
      'check DATABASE_URL',
      { cause },
    );
  }
  try {
    for (const database of [AUDIT_DATABASE, JOBS_DATABASE]) {
      const { rowCount } = await client.query('select 1 from pg_database where datname = $1', [database]);
      if (rowCount === 0) await client.query(`create database ${database}`);
    }
  } finally {
    await client.end();
  }
  const readerPassword = keepPrivate(join(layout.keysFolder, 'reader.password'), () => randomBytes(24).toString('hex'));
  return {
    databaseUrl: withDatabase(adminUrl, AUDIT_DATABASE),
    jobsDatabaseUrl: withDatabase(adminUrl, JOBS_DATABASE),
    readerDatabaseUrl: withUser(withDatabase(adminUrl, AUDIT_DATABASE), READER_ROLE, readerPassword),
    readerPassword,
  };
}

function withDatabase(url: string, database: string): string {
  const changed = new URL(url);
  changed.pathname = `/${database}`;
  return changed.href;
}

function withUser(url: string, user: string, password: string): string {
  const changed = new URL(url);
  changed.username = user;
  changed.password = password;
  return changed.href;
}
