import { join } from 'node:path';
import { projectRoot } from '../context.js';
import { misuse } from '../failure.js';
import { GATEWAY_NODE, HOSTS, type Identity, KMS_ID, LOG_ORIGIN } from './identities.js';
import type { Layout } from './layout.js';
import { STACK_VARIABLE } from './leftovers.js';
import type { ServiceSpec } from './supervisor.js';

/** Where the servers of this stack are reached. URLs with passwords stay out of argv: services get them by environment. */
export interface Endpoints {
  readonly natsUrl: string;
  readonly databaseUrl: string;
  readonly readerDatabaseUrl: string;
  readonly jobsDatabaseUrl: string;
  readonly redisUrl: string | null;
  readonly chainUrl: string;
  readonly kmsContract: string;
  /** Address every listener binds to: loopback on one machine, all addresses inside a container. */
  readonly listenHost: string;
  readonly pccsUrl: string;
  readonly apiPort: number;
  readonly gatewayPort: number;
  readonly baseDomain: string;
  /** Health listeners by service name. */
  readonly healthPorts: ReadonlyMap<string, number>;
  readonly hostVcpu: number;
  readonly hostMemoryMiB: number;
}

/** Replicas of the KMS: KMS_REPLICAS, 1 to 8; they share identity and root files. Throws a misuse for another number. */
function kmsNames(): readonly string[] {
  const count = Number(process.env.KMS_REPLICAS ?? '1');
  if (!Number.isInteger(count) || count < 1 || count > 8) {
    throw misuse(`KMS_REPLICAS=${process.env.KMS_REPLICAS}: a number from 1 to 8 is required`);
  }
  return Array.from({ length: count }, (_, at) => (at === 0 ? 'kms' : `kms-${at + 1}`));
}

export function serviceNames(): readonly string[] {
  return [
    'auditor',
    ...kmsNames(),
    'control-api',
    `gateway-${GATEWAY_NODE}`,
    ...HOSTS.map((host) => `host-worker-${host}`),
  ];
}

/** Entry script of an app of this project. */
export function appEntry(app: string): string {
  return join(projectRoot, 'apps', app, 'dist', 'main.js');
}

export function simulatorSpec(
  layout: Layout,
  endpoints: { readonly listenHost: string; readonly pccsPort: number },
): ServiceSpec {
  return {
    name: 'quote-simulator',
    args: [appEntry('quote-simulator')],
    env: {
      [STACK_VARIABLE]: layout.root,
      SIMULATOR_DATA_DIR: layout.simulatorFolder,
      SIMULATOR_ADMIN_SOCKET: layout.simulatorSocket,
      SIMULATOR_PCCS_LISTEN: `${endpoints.listenHost}:${endpoints.pccsPort}`,
      LOG_LEVEL: process.env.LOG_LEVEL ?? 'info',
    },
    logFile: join(layout.logsFolder, 'quote-simulator.log'),
    readyUrl: `http://127.0.0.1:${endpoints.pccsPort}/healthz`,
  };
}

/** The Nest services in the order in which they are started. */
export function serviceSpecs(
  layout: Layout,
  identities: readonly Identity[],
  endpoints: Endpoints,
): readonly ServiceSpec[] {
  const spec = (name: string, app: string, own: Readonly<Record<string, string>>, identityName = name): ServiceSpec => {
    const identity = identities.find((candidate) => candidate.name === identityName);
    const port = endpoints.healthPorts.get(name);
    if (identity === undefined || port === undefined)
      throw new TypeError(`service ${name} has no identity or health port`);
    return {
      name,
      args: [appEntry(app)],
      env: {
        ...commonEnvironment(layout, identity, endpoints.natsUrl),
        VOUCH_HEALTH_LISTEN: `${endpoints.listenHost}:${port}`,
        ...own,
      },
      logFile: join(layout.logsFolder, `${name}.log`),
      readyUrl: `http://127.0.0.1:${port}/readyz`,
    };
  };
  const kms = {
    ...kmsEnvironment(layout),
    ETH_RPC_URL: endpoints.chainUrl,
    KMS_CONTRACT_ADDR: endpoints.kmsContract,
    VOUCH_PCCS_URL: endpoints.pccsUrl,
    VOUCH_UNSAFE_TRUST_ANCHOR_FILE: join(layout.simulatorFolder, 'root-ca.pem'),
  };
  return [
    spec('auditor', 'auditor', auditorEnvironment(layout, endpoints)),
    ...kmsNames().map((name) => spec(name, 'kms', kms, 'kms')),
    spec('control-api', 'control-api', {
      CONTROL_API_LISTEN: `${endpoints.listenHost}:${endpoints.apiPort}`,
      DATABASE_URL: endpoints.readerDatabaseUrl,
      VOUCH_API_TOKENS_FILE: layout.tokensFile,
      ...(endpoints.redisUrl === null
        ? { JOBS_BACKEND: 'postgres', JOBS_DATABASE_URL: endpoints.jobsDatabaseUrl }
        : { JOBS_BACKEND: 'redis', REDIS_URL: endpoints.redisUrl }),
      ...(process.env.OPERATION_DEADLINE_SECONDS === undefined
        ? {}
        : { OPERATION_DEADLINE_SECONDS: process.env.OPERATION_DEADLINE_SECONDS }),
    }),
    spec(`gateway-${GATEWAY_NODE}`, 'gateway', {
      VOUCH_NODE: GATEWAY_NODE,
      GATEWAY_LISTEN: `${endpoints.listenHost}:${endpoints.gatewayPort}`,
      GATEWAY_BASE_DOMAIN: endpoints.baseDomain,
      GATEWAY_CERT_FILE: join(layout.gatewayFolder, 'wildcard.pem'),
      GATEWAY_KEY_FILE: join(layout.gatewayFolder, 'wildcard.key'),
    }),
    ...HOSTS.map((host) =>
      spec(`host-worker-${host}`, 'host-worker', {
        VOUCH_NODE: host,
        HOST_DATA_DIR: join(layout.hostsFolder, host),
        HOST_DRIVER: 'process',
        // The supervisor asks a worker to stop only when the whole stack stops; its guests then stop with it.
        HOST_STOP_GUESTS_ON_EXIT: '1',
        SIMULATOR_ADMIN_SOCKET: layout.simulatorSocket,
        GUEST_AGENT_ENTRY: appEntry('guest-agent'),
        HOST_VCPU: String(endpoints.hostVcpu),
        HOST_MEMORY_MIB: String(endpoints.hostMemoryMiB),
      }),
    ),
  ];
}

export function auditorEnvironment(layout: Layout, endpoints: Pick<Endpoints, 'databaseUrl'>): Record<string, string> {
  return {
    DATABASE_URL: endpoints.databaseUrl,
    VOUCH_LOG_KEY_FILE: join(layout.keysFolder, 'log.pem'),
    VOUCH_LOG_ORIGIN: LOG_ORIGIN,
  };
}

export function kmsEnvironment(layout: Layout): Record<string, string> {
  return { KMS_DATA_DIR: layout.kmsFolder, KMS_ID, KMS_PASSPHRASE_FILE: join(layout.keysFolder, 'kms.passphrase') };
}

export function commonEnvironment(layout: Layout, identity: Identity, natsUrl: string): Record<string, string> {
  return {
    [STACK_VARIABLE]: layout.root,
    NATS_URL: natsUrl,
    VOUCH_NATS_SEED_FILE: identity.seedFile,
    ...(identity.signing === null ? {} : { VOUCH_SIGNING_KEY_FILE: identity.signing.keyFile }),
    VOUCH_TRUST_FILE: layout.trustFile,
    VOUCH_MODE: 'development',
    LOG_LEVEL: process.env.LOG_LEVEL ?? 'info',
  };
}
