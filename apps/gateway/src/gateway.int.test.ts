import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { connect, type TLSSocket } from 'node:tls';
import { fileURLToPath } from 'node:url';
import type { AuthoredEvent, EventType } from '@vouch/domain';
import { type BusUser, JetStreamEventStore } from '@vouch/eventstore';
import { generateDevelopmentCa, mintServerCertificate } from '@vouch/keys';
import { freePort } from '@vouch/platform/local-servers';
import { makeTestAuthors, startTestBus, type TestBus } from '@vouch/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RoutesListing } from './routes-listing.js';
import type { EventFact } from './routing/routing-table.js';
import { storyOf } from './testing/fleet-story.js';
import { BASE_DOMAIN, EchoApp, readUntil } from './testing/gateway-fixture.js';

const NODE = 'gw-1';
const PORT = 18_081;
const instance = { appId: 'a1'.repeat(20), instanceId: 'b1'.repeat(20), address: '127.64.8.1', ports: [PORT] };
const story = storyOf(instance);
const servername = `${instance.appId}-${PORT}.${BASE_DOMAIN}`;
const now = new Date();
const ca = generateDevelopmentCa({ commonName: 'Gateway test CA', now });
const wildcard = mintServerCertificate({ ca, dnsNames: [`*.${BASE_DOMAIN}`], now });
const authors = makeTestAuthors();

/** The gateway as its own process, from the built `dist/main.js`. */
class GatewayProcess {
  readonly lines: Record<string, unknown>[] = [];
  stderr = '';
  readonly exit: Promise<number | null>;

  constructor(
    private readonly child: ChildProcess,
    private readonly ports: { readonly tls: number; readonly health: number },
  ) {
    if (child.stdout !== null) {
      createInterface({ input: child.stdout }).on('line', (line) => this.lines.push(JSON.parse(line)));
    }
    child.stderr?.on('data', (chunk: Buffer) => {
      this.stderr += chunk.toString();
    });
    this.exit = once(child, 'close').then(([code]) => code as number | null);
  }

  async ready(): Promise<this> {
    await expect.poll(() => this.lines.some(({ msg }) => msg === 'ready'), { timeout: 20_000 }).toBe(true);
    return this;
  }

  signal(name: 'SIGTERM' | 'SIGKILL'): void {
    this.child.kill(name);
  }

  async routes(): Promise<RoutesListing> {
    return (await this.get('/routes')).json() as Promise<RoutesListing>;
  }

  get(path: string): Promise<Response> {
    return fetch(`http://127.0.0.1:${this.ports.health}${path}`);
  }

  async connect(): Promise<TLSSocket> {
    const socket = connect({ host: '127.0.0.1', port: this.ports.tls, servername, ca: ca.certificate });
    await once(socket, 'secureConnect');
    return socket;
  }
}

let folder: string;
let bus: TestBus;
let app: EchoApp;
let env: NodeJS.ProcessEnv;
let ports: { tls: number; health: number };
const stores = new Map<string, JetStreamEventStore>();
const children: ChildProcess[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vouch-gw-'));
  bus = await startTestBus();
  app = await EchoApp.start('hello', instance.address, PORT);
  ports = { tls: await freePort(), health: await freePort() };
  const file = async (name: string, content: string | Uint8Array) => {
    await writeFile(join(folder, name), content, { mode: 0o600 });
    return join(folder, name);
  };
  const author = authors.of('gateway', NODE);
  env = {
    PATH: process.env.PATH,
    NATS_URL: bus.url,
    VOUCH_NATS_SEED_FILE: await file('seed', bus.seedOf({ service: 'gateway', node: NODE })),
    VOUCH_SIGNING_KEY_FILE: await file('key.pem', author.privateKey.export({ type: 'pkcs8', format: 'pem' })),
    VOUCH_TRUST_FILE: await file('trust.json', JSON.stringify(authors.trust)),
    VOUCH_NODE: NODE,
    VOUCH_MODE: 'development',
    VOUCH_HEALTH_LISTEN: `127.0.0.1:${ports.health}`,
    GATEWAY_LISTEN: `127.0.0.1:${ports.tls}`,
    GATEWAY_BASE_DOMAIN: BASE_DOMAIN,
    GATEWAY_CERT_FILE: await file('wildcard.pem', wildcard.certificate),
    GATEWAY_KEY_FILE: await file('wildcard.key', wildcard.privateKey),
    GATEWAY_DRAIN_SECONDS: '2',
  };
});

afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  await app.stop();
  await bus.stop();
  await rm(folder, { recursive: true, force: true });
});

function start(change: NodeJS.ProcessEnv = {}): GatewayProcess {
  const main = fileURLToPath(new URL('../dist/main.js', import.meta.url));
  const child = spawn(process.execPath, [main], { env: { ...env, ...change }, stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  return new GatewayProcess(child, ports);
}

/** Appends facts as the services that may write them, over their own bus users. */
async function tell(...facts: EventFact[]): Promise<void> {
  for (const fact of facts) {
    const kind = fact.type.split('.')[0];
    const node = kind === 'vm' && 'hostId' in fact.data ? fact.data.hostId : '';
    const service = kind === 'vm' ? 'host-worker' : kind === 'grant' ? 'kms' : 'control-api';
    const user: BusUser = { service, node };
    const event = authors.event<EventType>(authors.of(service, node), fact.type, fact.data) as AuthoredEvent;
    const reader = await storeOf({ service: 'control-api', node: '' });
    const last = await reader.lastOf(event.envelope.subject);
    const outcome = await (await storeOf(user)).append(event, last?.seq ?? 0);
    expect(outcome.ok).toBe(true);
  }
}

async function storeOf(user: BusUser): Promise<JetStreamEventStore> {
  const name = JSON.stringify(user);
  const store =
    stores.get(name) ?? new JetStreamEventStore({ connection: await bus.connect(user), directory: authors.directory });
  stores.set(name, store);
  return store;
}

async function reasonOf(gateway: GatewayProcess): Promise<string> {
  const [first] = (await gateway.routes()).instances;
  if (first === undefined) return 'unknown';
  return first.routed ? 'routed' : first.reason;
}

describe('the gateway on a real bus', () => {
  it('routes as the log says, through kill -9, and announces itself once', async () => {
    await tell(story.registered(), story.created(), story.placed(), story.launched(), story.granted());
    const first = await start().ready();
    expect((await first.get('/readyz')).status).toBe(200);
    expect(await reasonOf(first)).toBe('not-healthy');
    await tell(story.healthy());
    await expect.poll(() => reasonOf(first)).toBe('routed');
    const before = await first.connect();
    expect(await readUntil(before, '\n')).toBe('hello\n');
    const metrics = await (await first.get('/metrics')).text();
    expect(metrics).toContain('vouch_gateway_connections_open{mode="terminate"} 1');
    expect(metrics).toContain('vouch_gateway_bytes_total{direction="from-app"} 6');
    expect(metrics).toContain('vouch_gateway_routes 1');

    before.on('error', () => undefined);
    first.signal('SIGKILL');
    expect(await first.exit).toBeNull();
    const second = await start().ready();
    expect((await second.routes()).instances).toMatchObject([
      { routed: true, appName: 'hello', instanceId: instance.instanceId, epoch: 1, address: instance.address },
    ]);
    const after = await second.connect();
    expect(await readUntil(after, '\n')).toBe('hello\n');
    after.destroy();

    const store = await storeOf({ service: 'control-api', node: '' });
    const joined = await store.readSubject(`evt.gateway.${NODE}`);
    expect(joined.map(({ envelope }) => [envelope.source, envelope.data])).toEqual([
      [`vouch/gateway/${NODE}`, { nodeId: NODE, baseDomain: BASE_DOMAIN, unsafe: ['unsafeProcessGuest'] }],
    ]);

    // A move takes the route away until the new epoch has attested.
    await tell(story.placed(2));
    await expect.poll(() => reasonOf(second)).toBe('not-granted');
    await tell(story.granted(1), story.healthy(2));
    await expect.poll(async () => (await second.routes()).position).toBe(await store.lastSeq());
    expect(await reasonOf(second)).toBe('not-granted');
    await expect(second.connect()).rejects.toMatchObject({ code: 'ERR_SSL_TLSV1_UNRECOGNIZED_NAME' });
    await tell(story.granted(2));
    await expect.poll(() => reasonOf(second)).toBe('routed');

    // SIGTERM: no new connections, open ones may end, and the exit is orderly.
    const open = await second.connect();
    await readUntil(open, '\n');
    second.signal('SIGTERM');
    await expect
      .poll(() =>
        second.connect().then(
          () => 'accepted',
          () => 'refused',
        ),
      )
      .toBe('refused');
    open.write('still');
    expect(await readUntil(open, 'still')).toBe('still');
    open.destroy();
    expect(await second.exit).toBe(0);
    expect(second.lines.find(({ msg }) => msg === 'drained')).toMatchObject({ cut: 0 });
  });

  it('does not route process guests in production, and says so', async () => {
    const production = await start({ VOUCH_MODE: 'production' }).ready();
    expect(await reasonOf(production)).toBe('address-refused');
    production.signal('SIGTERM');
    expect(await production.exit).toBe(0);
  });

  it('names each wrong setting and exits 78', async () => {
    const wrong = start({ GATEWAY_BASE_DOMAIN: 'not a name', GATEWAY_LISTEN: '' });
    expect(await wrong.exit).toBe(78);
    expect(wrong.stderr).toContain('GATEWAY_LISTEN: is required but not set');
    expect(wrong.stderr).toContain('GATEWAY_BASE_DOMAIN: must be a DNS name');
    const foreign = start({ GATEWAY_BASE_DOMAIN: 'example.test' });
    expect(await foreign.exit).toBe(78);
    expect(foreign.stderr).toContain('is not valid for *.example.test');
  });
});
