import { parseArgs } from 'node:util';
import { ConfigError } from '@vouch/platform';
import { readBootstrapConfig } from './config/kms-config.js';
import { keyProviderOf } from './root/key-provider-of.js';
import { publicStatement } from './root/public-statement.js';
import { createRoot, loadRoots } from './root/root-files.js';

const DOMAIN = /^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/**
 * `bootstrap --domain <name>`: makes the root keys once and answers the public statement as one line of JSON. A second
 * run answers the same (and the statements of later key epochs). Throws ConfigError for a wrong argument or setting, RootKeysUnavailableError, SealOpenError.
 */
export async function bootstrap(args: readonly string[], env: NodeJS.ProcessEnv, now: Date): Promise<string> {
  const domain = domainOf(args);
  const config = readBootstrapConfig(env);
  const store = { dataDir: config.KMS_DATA_DIR, provider: await keyProviderOf(config) };
  (await createRoot(store, { domain, now })).keys.wipe();
  const roots = await loadRoots(store);
  try {
    return JSON.stringify(publicStatement(roots));
  } finally {
    for (const { keys } of roots) keys.wipe();
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
