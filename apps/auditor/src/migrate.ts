import { auditDataSource, ensureReaderRole, migrateDatabase } from '@vouch/migrations';
import { readConfig } from '@vouch/platform';
import { z } from 'zod';
import { databaseConfigSchema } from './auditor-config.js';

const migrateConfigSchema = databaseConfigSchema.extend({
  /** Password of the read-only role; absent: the role is left without a new one, to be granted to others. */
  VOUCH_READER_PASSWORD: z
    .string()
    .regex(/^[\x21-\x7e]{8,128}$/, 'must be 8 to 128 printable ASCII characters')
    .optional(),
});

/** The `migrate` step: tables, then the read-only role. Idempotent. Returns what to tell the operator. */
export async function migrate(): Promise<string> {
  const config = readConfig(migrateConfigSchema);
  const dataSource = auditDataSource({ url: config.DATABASE_URL, applicationName: 'vouch-migrate', poolSize: 2 });
  await dataSource.initialize();
  try {
    const done = await migrateDatabase(dataSource);
    await ensureReaderRole(dataSource, { schema: 'public', password: config.VOUCH_READER_PASSWORD });
    return done.length === 0 ? 'the tables are up to date' : `migrated: ${done.join(', ')}`;
  } finally {
    await dataSource.destroy();
  }
}
