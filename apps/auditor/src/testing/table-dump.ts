import type { DataSource } from 'typeorm';

const TABLES = ['event', 'projection', 'merkle_node', 'checkpoint', 'app', 'release', 'host'] as const;
const FLEET_TABLES = ['instance', 'operation', 'key_grant'] as const;

/** Every row of every table as text, to compare whole database states. */
export async function dumpTables(dataSource: DataSource): Promise<Record<string, string[]>> {
  const dump: Record<string, string[]> = {};
  for (const table of [...TABLES, ...FLEET_TABLES]) {
    const rows: { row: string }[] = await dataSource.query(`select t::text as row from ${table} t order by 1`);
    dump[table] = rows.map(({ row }) => row);
  }
  return dump;
}
