import { readFileSync } from 'node:fs';
import { connectBus, inboxPrefix, provisionBus } from '@vouch/eventstore';
import type { DatabaseUrls } from './database.js';
import type { Identity } from './identities.js';
import type { Layout } from './layout.js';
import { writePrivate } from './private-file.js';
import { runOnce } from './run-once.js';
import { appEntry, auditorEnvironment, commonEnvironment, kmsEnvironment } from './services.js';

/** The migration step: streams and buckets (the only user who may), then tables. Both are idempotent. */
export async function migrate(
  layout: Layout,
  identities: readonly Identity[],
  natsUrl: string,
  databases: DatabaseUrls,
): Promise<void> {
  const migration = identities.find(({ name }) => name === 'migration');
  const auditor = identities.find(({ name }) => name === 'auditor');
  const kms = identities.find(({ name }) => name === 'kms');
  if (migration === undefined || auditor === undefined || kms === undefined)
    throw new TypeError('the migration, auditor and kms identities are missing');
  const connection = await connectBus({
    servers: natsUrl,
    seed: readFileSync(migration.seedFile),
    name: 'vouch-migration',
    inboxPrefix: inboxPrefix(migration.busUser),
  });
  try {
    await provisionBus(connection);
  } finally {
    await connection.close();
  }
  const environment = { ...commonEnvironment(layout, auditor, natsUrl), ...auditorEnvironment(layout, databases) };
  await runOnce(appEntry('auditor'), ['migrate'], { ...environment, VOUCH_READER_PASSWORD: databases.readerPassword });
  writePrivate(layout.auditEnvironmentFile, JSON.stringify(environment));
  const kmsCommands = { ...commonEnvironment(layout, kms, natsUrl), ...kmsEnvironment(layout) };
  writePrivate(layout.kmsEnvironmentFile, JSON.stringify(kmsCommands));
}
