import type { DataSource } from 'typeorm';

/** Advisory lock of migrations: "vouc", 1. Two migration steps at once would race for the same tables. */
const MIGRATION_LOCK = [0x766f7563, 1] as const;

/** Runs all migrations that are not done yet, in one transaction, and returns their names. Safe to run concurrently. */
export async function migrateDatabase(dataSource: DataSource): Promise<string[]> {
  const holder = dataSource.createQueryRunner();
  try {
    await holder.query('select pg_advisory_lock($1, $2)', [...MIGRATION_LOCK]);
    try {
      const done = await dataSource.runMigrations();
      return done.map((migration) => migration.name);
    } finally {
      await holder.query('select pg_advisory_unlock($1, $2)', [...MIGRATION_LOCK]);
    }
  } finally {
    await holder.release();
  }
}
