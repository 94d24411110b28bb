import { parseArgs } from 'node:util';
import { ConfigError } from '@vouch/platform';
import { readBootstrapConfig } from './config/kms-config.js';
import { publicStatement } from './root/public-statement.js';
import { createRoot, readPassphrase } from './root/root-files.js';

const DOMAIN = /^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/**
 * `bootstrap --domain <name>`: makes the root keys once and answers the public statement as one line of JSON. A second
 * run answers the same. Throws ConfigError for a wrong argument or setting, RootKeysUnavailableError, SealOpenError.
 */
export async function bootstrap(args: readonly string[], env: NodeJS.ProcessEnv, now: Date): Promise<string> {
  const domain = domainOf(args);
  const config = readBootstrapConfig(env);
  const unsafePassphrase = await readPassphrase(config.KMS_PASSPHRASE_FILE);
  const root = await createRoot({ dataDir: config.KMS_DATA_DIR, unsafePassphrase, domain, now });
  try {
    return JSON.stringify(publicStatement(root));
  } finally {
    root.keys.wipe();
    unsafePassphrase.fill(0);
  }
}

function domainOf(args: readonly string[]): string {
  let domain: string | undefined;
  try {
    domain = parseArgs({ args: [...args], options: { domain: { type: 'string' } } }).values.domain;
  } catch (error) {
    throw new ConfigError([(error as Error).message]);
  }
  if (domain === undefined || domain.length > 253 || !DOMAIN.test(domain)) {
    throw new ConfigError(['--domain: needs a lower-case DNS name']);
  }
  return domain;
}
