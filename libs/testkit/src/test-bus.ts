import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NatsConnection } from '@nats-io/transport-node';
import {
  type BusUser,
  type BusUserKey,
  busUserName,
  connectBus,
  createBusUserKey,
  inboxPrefix,
  natsServerConfig,
  type ProvisionOptions,
  provisionBus,
} from '@vouch/eventstore';
import { type LocalServer, startNats } from '@vouch/platform/local-servers';

export interface TestBusOptions {
  /** Host ids with a worker. Default host-1 and host-2. */
  readonly hosts?: readonly string[];
  /** Gateway node ids. Default gw-1 and gw-2. */
  readonly gateways?: readonly string[];
  /** Where the server keeps its files; a temporary folder, removed at the end, when absent. */
  readonly dataDir?: string;
  readonly provision?: ProvisionOptions;
  /** Acknowledges before the write is on disk, as nats-server does by default: only to measure what fsync costs. */
  readonly unsafeSyncByDefault?: boolean;
}

/** A real nats-server with the full user and permission configuration, provisioned, on a free port. */
export class TestBus {
  readonly #connections: NatsConnection[] = [];

  private constructor(
    readonly users: readonly BusUser[],
    private readonly keys: ReadonlyMap<string, BusUserKey>,
    private readonly dataDir: string,
    private readonly ownsDataDir: boolean,
    private readonly unsafeSyncByDefault: boolean,
    private server: LocalServer,
  ) {}

  static async start(options: TestBusOptions = {}): Promise<TestBus> {
    const users: BusUser[] = [
      { service: 'migration' },
      { service: 'control-api', node: '' },
      { service: 'kms', node: '' },
      { service: 'auditor', node: '' },
      ...(options.hosts ?? ['host-1', 'host-2']).map((node): BusUser => ({ service: 'host-worker', node })),
      ...(options.gateways ?? ['gw-1', 'gw-2']).map((node): BusUser => ({ service: 'gateway', node })),
    ];
    const keys = new Map(users.map((user) => [busUserName(user), createBusUserKey()]));
    const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'vouch-bus-')));
    const unsafeSyncByDefault = options.unsafeSyncByDefault ?? false;
    const bus = new TestBus(
      users,
      keys,
      dataDir,
      options.dataDir === undefined,
      unsafeSyncByDefault,
      await startServer(dataDir, users, keys, 0, unsafeSyncByDefault),
    );
    try {
      const admin = await bus.connect({ service: 'migration' });
      await provisionBus(admin, { eventsMaxBytes: 256 * 1024 * 1024, ...options.provision });
    } catch (error) {
      await bus.stop();
      throw error;
    }
    return bus;
  }

  get url(): string {
    return this.server.url;
  }

  get port(): number {
    return this.server.port;
  }

  /** The configuration the server was started with. */
  get configPath(): string {
    return join(this.dataDir, 'nats-server.conf');
  }

  /** The NKey seed of a user, for a process that connects by itself. */
  seedOf(user: BusUser): Uint8Array {
    const key = this.keys.get(busUserName(user));
    if (key === undefined) throw new RangeError(`no test bus user ${busUserName(user)}`);
    return key.seed;
  }

  /** A new connection as `user`, closed with the bus. `servers` goes elsewhere, such as through a fault proxy. */
  async connect(user: BusUser, servers: string = this.url): Promise<NatsConnection> {
    const connection = await connectBus({
      servers,
      seed: this.seedOf(user),
      name: busUserName(user),
      inboxPrefix: inboxPrefix(user),
    });
    this.#connections.push(connection);
    return connection;
  }

  /** SIGKILL, then a new server on the same port and files. */
  async crashAndRestart(): Promise<void> {
    const { port } = this.server;
    await this.server.kill9();
    this.server = await startServer(this.dataDir, this.users, this.keys, port, this.unsafeSyncByDefault);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#connections.map((connection) => connection.close().catch(() => undefined)));
    await this.server.stop();
    if (this.ownsDataDir) await rm(this.dataDir, { recursive: true, force: true });
  }
}

export function startTestBus(options: TestBusOptions = {}): Promise<TestBus> {
  return TestBus.start(options);
}

function startServer(
  dataDir: string,
  users: readonly BusUser[],
  keys: ReadonlyMap<string, BusUserKey>,
  port: number,
  unsafeSyncByDefault: boolean,
): Promise<LocalServer> {
  const listed = users.flatMap((user) => {
    const key = keys.get(busUserName(user));
    return key === undefined ? [] : [{ user, publicNkey: key.publicNkey }];
  });
  return startNats({
    dataDir,
    port,
    config: ({ listen, storeDir }) => {
      const config = natsServerConfig({ listen, storeDir, users: listed });
      return unsafeSyncByDefault ? config.replace('  sync_interval: always\n', '') : config;
    },
  });
}
