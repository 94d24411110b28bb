import 'reflect-metadata';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { AuditTables1767225600000 } from './1767225600000-audit-tables.js';
import { PolicyChanges1769904000000 } from './1769904000000-policy-changes.js';

export interface AuditDatabaseOptions {
  /** postgresql:// URL. It may hold a password: never log it. */
  readonly url: string;
  /** Schema of all tables; default `public`. A replay uses a scratch schema of its own. */
  readonly schema?: string;
  readonly applicationName: string;
  readonly poolSize?: number;
}

/** Lower-case identifiers only, so that a schema name can stand in a search path unquoted. */
const SCHEMA_NAME = /^[a-z][a-z0-9_]{0,62}$/;

/** Settings of a connection to the audit database, with its migrations. Every unqualified name means the given schema. */
export function auditDatabaseSettings(options: AuditDatabaseOptions): DataSourceOptions {
  const schema = options.schema ?? 'public';
  if (!SCHEMA_NAME.test(schema)) throw new TypeError(`schema: ${JSON.stringify(schema)} is not a plain schema name`);
  return {
    type: 'postgres',
    url: options.url,
    schema,
    applicationName: options.applicationName,
    poolSize: options.poolSize ?? 8,
    connectTimeoutMS: 10_000,
    installExtensions: false,
    synchronize: false,
    logging: false,
    migrations: [AuditTables1767225600000, PolicyChanges1769904000000],
    migrationsTableName: 'migration',
    migrationsTransactionMode: 'all',
    // A lost idle connection is met again, as an error, by the next query: it must not end the process.
    poolErrorHandler: () => undefined,
    extra: { options: `-c search_path=${schema} -c timezone=UTC`, keepAlive: true },
  };
}

/** A data source that is not connected yet: `initialize()` connects, `destroy()` closes. */
export function auditDataSource(options: AuditDatabaseOptions): DataSource {
  return new DataSource(auditDatabaseSettings(options));
}
