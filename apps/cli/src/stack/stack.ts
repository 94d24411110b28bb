import { join } from 'node:path';
import { natsServerConfig } from '@vouch/eventstore';
import {
  freePort,
  locateNatsServer,
  locateRedisServer,
  processIdentity,
  startAnvil,
  startNats,
  startPostgres,
  startRedis,
} from '@vouch/platform/local-servers';
import { type Context, projectRoot } from '../context.js';
import { CliFailure, exitCodes } from '../failure.js';
import { type DatabaseUrls, prepareDatabases } from './database.js';
import { hostCapacity, registerFleet } from './fleet.js';
import { ed25519File, type Identity, LOG_ORIGIN, makeIdentities } from './identities.js';
import type { Layout } from './layout.js';
import { LocalServerSet } from './local-server-set.js';
import { migrate } from './migrate.js';
import { type PolicyChain, preparePolicyChain } from './policy-chain.js';
import { choosePort, type PortName, portWishes } from './ports.js';
import { BASE_DOMAIN, operatorToken, prepareFiles } from './prepare-files.js';
import { writePrivate } from './private-file.js';
import { type Endpoints, serviceNames, serviceSpecs, simulatorSpec } from './services.js';
import { readState, type StackState, writeState } from './state.js';
import { Supervisor } from './supervisor.js';

/** The KMS refuses policy from a head that is older than POLICY_MAX_AGE_SECONDS, so an idle chain must go on. */
const CHAIN_BLOCK_SECONDS = 10;

/** Says what a step found, for the progress display. */
export type Say = (detail: string) => void;

export interface BringUpStep {
  readonly title: string;
  readonly run: (say: Say) => Promise<void>;
}

const READY_WITHIN_MS = 60_000;

/**
 * One development stack: real servers, real services, one data folder. The steps are idempotent: a second `vouch up` on
 * the same folder finds keys, databases, contracts and guests as they were.
 */
export class Stack {
  readonly #servers: LocalServerSet;
  readonly #supervisor: Supervisor;
  readonly #identities: readonly Identity[];
  readonly #startedAt = new Date().toISOString();
  readonly #last: StackState | null;
  #ports: Partial<Record<PortName, number>> = {};
  #healthPorts = new Map<string, number>();
  #natsUrl = '';
  #redisUrl: string | null = null;
  #chainUrl = '';
  #databases: DatabaseUrls | null = null;
  #chain: PolicyChain | null = null;
  #osImageHash = '';
  #ready = false;

  constructor(
    private readonly layout: Layout,
    onTrouble: (message: string) => void,
  ) {
    this.#last = readState(layout);
    this.#servers = new LocalServerSet(onTrouble);
    this.#supervisor = new Supervisor(() => this.#save());
    this.#identities = makeIdentities(layout);
  }

  /** The steps of `vouch up`, in order. */
  steps(): readonly BringUpStep[] {
    return [
      { title: 'Keys and trust', run: async (say) => say(await prepareFiles(this.layout, this.#identities)) },
      { title: 'Message bus (nats-server, JetStream)', run: (say) => this.#startBus(say) },
      { title: 'Database (Postgres)', run: (say) => this.#startDatabase(say) },
      { title: 'Jobs', run: (say) => this.#startJobs(say) },
      { title: 'Policy chain (EVM node, contracts)', run: (say) => this.#startChain(say) },
      { title: 'Quote simulator (development TDX)', run: (say) => this.#startSimulator(say) },
      { title: 'Streams and tables', run: (say) => this.#migrate(say) },
      { title: 'Services', run: (say) => this.#startServices(say) },
      { title: 'Fleet (hosts, approved guest image)', run: (say) => this.#registerFleet(say) },
    ];
  }

  get context(): Context {
    return {
      apiUrl: `http://127.0.0.1:${this.#port('api')}`,
      apiToken: operatorToken(this.layout),
      gateway: { host: '127.0.0.1', port: this.#port('gateway'), baseDomain: BASE_DOMAIN },
      caFile: join(this.layout.realRoot, 'gateway', 'dev-ca.pem'),
      log: { origin: LOG_ORIGIN, publicKey: ed25519File(join(this.layout.keysFolder, 'log.pem')) },
      chain: {
        rpcUrl: this.#chainUrl,
        kmsContract: `0x${required(this.#chain).kmsContract}`,
        walletKeyFile: required(this.#chain).walletKeyFile,
      },
      auditUrl: `http://127.0.0.1:${this.#healthPorts.get('auditor') ?? 0}`,
      trustFile: this.layout.trustFile,
      unsafeTrustAnchorFile: join(this.layout.simulatorFolder, 'root-ca.pem'),
      audit: { environmentFile: this.layout.auditEnvironmentFile },
      kms: { environmentFile: this.layout.kmsEnvironmentFile },
    };
  }

  /** Stops services, then servers. Guests stop with their host workers. */
  async stop(): Promise<void> {
    await this.#supervisor.stop();
    await this.#servers.stop();
  }

  async #startBus(say: Say): Promise<void> {
    const users = this.#identities.map(({ busUser, publicNkey }) => ({ user: busUser, publicNkey }));
    if (process.env.NATS_URL !== undefined) {
      this.#natsUrl = process.env.NATS_URL;
      const configFile = join(this.layout.natsFolder, 'nats-server.conf');
      writePrivate(configFile, natsServerConfig({ listen: '0.0.0.0:4222', storeDir: '/data/jetstream', users }));
      say(`${this.#natsUrl} (NATS_URL); it must run with the users of ${configFile}`);
      return;
    }
    const binary = await locateNatsServer(cacheFolder(), say);
    const port = await this.#choose('nats');
    const server = await this.#servers.start('nats-server', binary.version, port, (at) =>
      startNats({
        dataDir: this.layout.natsFolder,
        port: at,
        portSetting: portWishes.nats.variable,
        binary,
        config: (where) => natsServerConfig({ ...where, users }),
      }),
    );
    this.#natsUrl = server.url;
    say(`nats-server ${binary.version} on 127.0.0.1:${server.port}, fsync on every write`);
  }

  async #startDatabase(say: Say): Promise<void> {
    let adminUrl = process.env.DATABASE_URL;
    if (adminUrl === undefined) {
      const port = await this.#choose('postgres');
      const server = await this.#servers.start('postgres', '18', port, (at) =>
        startPostgres({
          dataDir: this.layout.postgresFolder,
          port: at,
          portSetting: portWishes.postgres.variable,
          onProgress: say,
        }),
      );
      adminUrl = server.url;
      say(`embedded Postgres on 127.0.0.1:${server.port}`);
    } else say('DATABASE_URL');
    this.#databases = await prepareDatabases(this.layout, adminUrl);
  }

  async #startJobs(say: Say): Promise<void> {
    const backend = process.env.JOBS_BACKEND ?? (process.env.REDIS_URL === undefined ? 'postgres' : 'redis');
    if (backend === 'postgres') return say('BullMQ on Postgres');
    if (backend !== 'redis')
      throw new CliFailure(exitCodes.misuse, `JOBS_BACKEND=${backend} is unknown`, 'use postgres or redis');
    if (process.env.REDIS_URL !== undefined) {
      this.#redisUrl = process.env.REDIS_URL;
      return say('BullMQ on REDIS_URL');
    }
    const binary = await locateRedisServer(cacheFolder(), say);
    const port = await this.#choose('redis');
    const server = await this.#servers.start('redis', binary.version, port, (at) =>
      startRedis({ dataDir: this.layout.redisFolder, port: at, portSetting: portWishes.redis.variable, binary }),
    );
    this.#redisUrl = server.url;
    say(`BullMQ on ${binary.version} on 127.0.0.1:${server.port}`);
  }

  async #startChain(say: Say): Promise<void> {
    this.#chainUrl = process.env.ETH_RPC_URL ?? '';
    if (this.#chainUrl === '') {
      const port = await this.#choose('chain');
      const server = await this.#servers.start('anvil', 'anvil', port, (at) =>
        startAnvil({
          dataDir: this.layout.chainFolder,
          port: at,
          portSetting: portWishes.chain.variable,
          blockTimeSeconds: CHAIN_BLOCK_SECONDS,
        }),
      );
      this.#chainUrl = server.url;
    }
    say(`deploying DstackKms on ${new URL(this.#chainUrl).host}`);
    this.#chain = await preparePolicyChain(this.layout, this.#chainUrl);
    say(`DstackKms 0x${this.#chain.kmsContract} on ${new URL(this.#chainUrl).host}`);
  }

  async #startSimulator(say: Say): Promise<void> {
    const pccsPort = await this.#choose('pccs');
    await this.#supervisor.start(simulatorSpec(this.layout, { listenHost: '127.0.0.1', pccsPort }), READY_WITHIN_MS);
    say(`own PKI, collateral on 127.0.0.1:${pccsPort} (quotes are simulated, not hardware)`);
  }

  async #migrate(say: Say): Promise<void> {
    await migrate(this.layout, this.#identities, this.#natsUrl, required(this.#databases));
    say('EVENTS, SEALED, LOGS, ADVISORY; audit tables');
  }

  async #startServices(say: Say): Promise<void> {
    await this.#choose('api');
    await this.#choose('gateway');
    for (const name of serviceNames()) this.#healthPorts.set(name, await freePort());
    const began = performance.now();
    await Promise.all(
      serviceSpecs(this.layout, this.#identities, this.#endpoints()).map(async (spec) => {
        await this.#supervisor.start(spec, READY_WITHIN_MS);
        say(`${spec.name} ready`);
      }),
    );
    say(`${serviceNames().length} services ready in ${((performance.now() - began) / 1000).toFixed(1)} s`);
  }

  async #registerFleet(say: Say): Promise<void> {
    const { osImageHash, summary } = await registerFleet(this.context);
    this.#osImageHash = osImageHash;
    writePrivate(this.layout.contextFile, `${JSON.stringify(this.context, null, 2)}\n`);
    this.#ready = true;
    this.#save();
    say(summary);
  }

  #endpoints(): Endpoints {
    const { vcpu, memoryMiB } = hostCapacity();
    return {
      natsUrl: this.#natsUrl,
      ...required(this.#databases),
      redisUrl: this.#redisUrl,
      chainUrl: this.#chainUrl,
      kmsContract: required(this.#chain).kmsContract,
      listenHost: '127.0.0.1',
      pccsUrl: `http://127.0.0.1:${this.#port('pccs')}`,
      apiPort: this.#port('api'),
      gatewayPort: this.#port('gateway'),
      baseDomain: BASE_DOMAIN,
      healthPorts: this.#healthPorts,
      hostVcpu: vcpu,
      hostMemoryMiB: memoryMiB,
    };
  }

  async #choose(name: PortName): Promise<number> {
    const wish = portWishes[name];
    const port = await choosePort(wish, process.env[wish.variable], this.#last?.ports[name]);
    this.#ports = { ...this.#ports, [name]: port };
    this.#save();
    return port;
  }

  #port(name: PortName): number {
    const port = this.#ports[name];
    if (port === undefined) throw new TypeError(`no port was chosen for ${name}`);
    return port;
  }

  #save(): void {
    const supervisor = processIdentity(process.pid);
    if (supervisor === undefined) return;
    writeState(this.layout, {
      supervisor,
      startedAt: this.#startedAt,
      ready: this.#ready,
      ports: { ...this.#last?.ports, ...this.#ports },
      healthPorts: Object.fromEntries(this.#healthPorts),
      services: this.#supervisor.states(),
      servers: this.#servers.describe(),
      osImageHash: this.#osImageHash,
      kmsContract: this.#chain?.kmsContract ?? '',
    });
  }
}

/** Downloaded server programs: inside node_modules, so that they go when the packages go; VOUCH_CACHE_DIR moves them. */
function cacheFolder(): string {
  return process.env.VOUCH_CACHE_DIR ?? join(projectRoot, 'node_modules', '.cache', 'vouch');
}

function required<T>(value: T | null): T {
  if (value === null) throw new TypeError('a step ran before the one it needs');
  return value;
}
