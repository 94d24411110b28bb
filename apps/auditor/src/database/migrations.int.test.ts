import { projectionTables, tableNames } from '@vouch/domain';
import { ensureReaderRole, migrateDatabase, READER_ROLE } from '@vouch/migrations';
import pg from 'pg';
import type { DataSource } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AuditDatabases } from '../testing/audit-databases.js';

const SQL_TYPES: Readonly<Record<string, string>> = {
  text: 'text',
  int: 'bigint',
  bool: 'boolean',
  time: 'timestamp with time zone',
  json: 'jsonb',
  'text[]': 'text[]',
  'int[]': 'integer[]',
};

let databases: AuditDatabases;
beforeAll(async () => {
  databases = await AuditDatabases.start();
});
afterAll(() => databases.stop());

async function tables(dataSource: DataSource): Promise<string[]> {
  const rows: { name: string }[] = await dataSource.query(
    "select tablename as name from pg_tables where schemaname = 'public' and tablename <> 'migration' order by 1",
  );
  return rows.map(({ name }) => name);
}

function asReader(url: string, password: string): pg.Client {
  const reader = new URL(url);
  reader.username = READER_ROLE;
  reader.password = password;
  return new pg.Client({ connectionString: reader.href });
}

const MIGRATIONS = ['AuditTables1767225600000', 'PolicyChanges1769904000000'];

describe('migrations', () => {
  it('go forward, back, and forward again', async () => {
    const dataSource = await databases.connect(await databases.empty());
    expect(await migrateDatabase(dataSource)).toEqual(MIGRATIONS);
    const all = await tables(dataSource);
    expect(all).toEqual(expect.arrayContaining(['event', 'projection', 'merkle_node', 'checkpoint', ...tableNames]));
    expect(await migrateDatabase(dataSource)).toEqual([]);
    for (const _ of MIGRATIONS) await dataSource.undoLastMigration();
    expect(await tables(dataSource)).toEqual([]);
    expect(await migrateDatabase(dataSource)).toEqual(MIGRATIONS);
    expect(await tables(dataSource)).toEqual(all);
  });

  it('make exactly the columns the projections write', async () => {
    const { dataSource } = await databases.migrated();
    for (const table of tableNames) {
      const { columns, key } = projectionTables[table];
      const rows: { name: string; type: string; nullable: boolean; key: boolean }[] = await dataSource.query(
        `select attname as name, format_type(atttypid, atttypmod) as type, not attnotnull as nullable,
           exists (select from pg_index i where i.indrelid = attrelid and i.indisprimary and attnum = any(i.indkey)) as key
         from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped order by attnum`,
        [table],
      );
      const expected = Object.entries(columns).map(([name, { kind, nullable }]) => ({
        name,
        type: SQL_TYPES[kind],
        nullable,
        key: (key as readonly string[]).includes(name),
      }));
      expect(rows, table).toEqual(expected);
    }
  });

  it('may run at the same time', async () => {
    const url = await databases.empty();
    const [one, two] = [await databases.connect(url), await databases.connect(url)];
    const done = await Promise.all([migrateDatabase(one), migrateDatabase(two)]);
    expect(done.flat()).toEqual(MIGRATIONS);
  });
});

describe('reader role', () => {
  it('reads every table and writes none', async () => {
    const { url } = await databases.migrated();
    const client = asReader(url, 'reader-password');
    await client.connect();
    expect((await client.query('select pos from projection')).rows).toEqual([{ pos: '0' }]);
    for (const statement of [
      "insert into app values ('a', 'b', 'c', now(), 1)",
      'update projection set pos = 1',
      'delete from event',
      'create table mine (a int)',
    ]) {
      await expect(client.query(statement)).rejects.toThrow(/read-only|permission denied/);
      await client.query('set default_transaction_read_only = off');
      await expect(client.query(statement)).rejects.toThrow(/permission denied/);
    }
    await client.end();
  });

  it('changes its password and keeps it when none is given', async () => {
    const { url, dataSource } = await databases.migrated();
    await ensureReaderRole(dataSource, { schema: 'public', password: 'another-password' });
    await ensureReaderRole(dataSource, { schema: 'public', password: undefined });
    const client = asReader(url, 'another-password');
    await client.connect();
    await client.end();
    await expect(asReader(url, 'reader-password').connect()).rejects.toThrow(/password authentication failed/);
  });

  it('refuses a password it could not use, without repeating it', async () => {
    const { dataSource } = await databases.migrated();
    const refused = ensureReaderRole(dataSource, { schema: 'public', password: "x' or" });
    await expect(refused).rejects.toThrow('the password must be 8 to 128 printable ASCII characters');
  });
});
