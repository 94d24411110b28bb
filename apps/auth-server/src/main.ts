/**
 * Authorisation server: says which measured guests may boot, over the webhook of dstack's key server (dstack-kms §15), so
 * that this project's KMS and dstack's own can both ask it. The invariant it keeps: whatever fails, the answer is no.
 */
import { readFileSync } from 'node:fs';
import type { AuthBackend } from './auth-backend.js';
import { authServer } from './auth-server.js';
import { ContractBackend } from './contract-backend.js';
import { FileBackend } from './file-backend.js';
import { readSettings, type Settings, SettingsInvalidError } from './settings.js';

/** sysexits.h: the configuration is wrong. */
const EXIT_CONFIG = 78;
const HELP = `usage: node apps/auth-server/dist/main.js

Answers POST /bootAuth/app, POST /bootAuth/kms and GET / as dstack's authorisation servers do.

  HOST, PORT                       where to listen (127.0.0.1, 8000)
  AUTH_TLS_CERT_FILE, ..._KEY_FILE PEM; without them plain HTTP, which no production KMS asks
  AUTH_BACKEND                     contract (default) or file
  ETH_RPC_URL, KMS_CONTRACT_ADDR   contract: the node (http://localhost:8545) and DstackKms
  ETH_CHAIN_ID                     contract: the chain it must be
  ETH_FINALITY_CONFIRMATIONS       contract: read so many blocks behind the head, or
  AUTH_POLICY_BLOCK                contract: latest (default), safe or finalized
  POLICY_MAX_AGE_SECONDS           contract: oldest block that decides (default: any)
  AUTH_CONFIG_PATH                 file: the policy (./auth-config.json), read for every request
  LOG_LEVEL                        info
`;

async function main(): Promise<void> {
  if (process.argv.slice(2).some((word) => word === '--help' || word === '-h')) {
    process.stdout.write(HELP);
    return;
  }
  const settings = readSettings(process.env);
  const backend = backendOf(settings);
  const server = authServer({ backend, logLevel: settings.logLevel, ...tlsOf(settings) });
  const stop = (signal: NodeJS.Signals) => {
    server.log.info({ signal }, 'stopping');
    void server.close().then(() => backend.close());
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
  const url = await server.listen({ host: settings.host, port: settings.port });
  server.log.info({ url, backend: settings.backend.kind }, 'ready');
}

function backendOf({ backend }: Settings): AuthBackend {
  return backend.kind === 'file' ? new FileBackend(backend.path) : new ContractBackend(backend, () => new Date());
}

function tlsOf({ tls }: Settings): { tls?: { cert: string; key: string } } {
  if (tls === undefined) return {};
  const read = (variable: string, path: string) => {
    try {
      return readFileSync(path, 'utf8');
    } catch (cause) {
      throw new SettingsInvalidError(`${variable}: cannot be read (${(cause as NodeJS.ErrnoException).code})`);
    }
  };
  return {
    tls: { cert: read('AUTH_TLS_CERT_FILE', tls.certFile), key: read('AUTH_TLS_KEY_FILE', tls.keyFile) },
  };
}

main().catch((error: unknown) => {
  process.stderr.write(`auth-server: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(error instanceof SettingsInvalidError ? EXIT_CONFIG : 1);
});
