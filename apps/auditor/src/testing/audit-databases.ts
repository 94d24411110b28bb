import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { auditDataSource, ensureReaderRole, migrateDatabase } from '@vouch/migrations';
import { type LocalServer, startPostgres } from '@vouch/platform/local-servers';
import pg from 'pg';
import type { DataSource } from 'typeorm';

/** A real Postgres for a test file, with as many audit databases as its tests ask for. */
export class AuditDatabases {
  readonly #open: DataSource[] = [];
  #count = 0;

  private constructor(
    private readonly server: LocalServer,
    private readonly folder: string,
  ) {}

  static async start(): Promise<AuditDatabases> {
    const folder = await mkdtemp(join(tmpdir(), 'vouch-audit-'));
    return new AuditDatabases(await startPostgres({ dataDir: folder, fsync: false }), folder);
  }

  /** URL of a new, empty database. */
  async empty(): Promise<string> {
    this.#count += 1;
    const name = `audit_${this.#count}`;
    const client = new pg.Client({ connectionString: this.server.url });
    await client.connect();
    await client.query(`create database ${name}`);
    await client.end();
    const url = new URL(this.server.url);
    url.pathname = `/${name}`;
    return url.href;
  }

  /** A new database with all tables, and a data source on it. */
  async migrated(): Promise<{ url: string; dataSource: DataSource }> {
    const url = await this.empty();
    const dataSource = await this.connect(url);
    await migrateDatabase(dataSource);
    await ensureReaderRole(dataSource, { schema: 'public', password: 'reader-password' });
    return { url, dataSource };
  }

  async connect(url: string): Promise<DataSource> {
    const dataSource = await auditDataSource({ url, applicationName: 'vouch-test' }).initialize();
    this.#open.push(dataSource);
    return dataSource;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#open.filter((one) => one.isInitialized).map((one) => one.destroy()));
    await this.server.stop();
    await rm(this.folder, { recursive: true, force: true });
  }
}
