import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createUser } from '@nats-io/nkeys';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { authorEvent, type EventAuthor } from '@vouch/domain';
import { JetStreamEventStore, provisionBus } from '@vouch/eventstore';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { freePort, type LocalServer, startNats } from './local-servers/index.js';
import { appRegistered } from './testing/test-events.js';
import { testIdentities } from './testing/test-service-identity.js';
import { busRequest } from './transport/bus-request.js';

const ENTRY = fileURLToPath(new URL('../dist/testing/sample-service.js', import.meta.url));
const { trust, directory, authors } = testIdentities([['control-api', '']]);
const author = authors[0] as EventAuthor;

let root: string;
let server: LocalServer;
let connection: NatsConnection;
let store: JetStreamEventStore;
let env: NodeJS.ProcessEnv;
let healthPort: number;
const children: ChildProcess[] = [];

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'vouch-run-'));
  server = await startNats({
    dataDir: join(root, 'nats'),
    config: ({ listen, storeDir }) => `listen: "${listen}"\njetstream { store_dir: "${storeDir}" }\n`,
  });
  connection = await connect({ servers: server.url });
  await provisionBus(connection);
  store = new JetStreamEventStore({ connection, directory });
  await writeFile(join(root, 'trust.json'), JSON.stringify(trust));
  await writeFile(join(root, 'seed'), createUser().getSeed());
  await writeFile(join(root, 'key.pem'), author.privateKey.export({ type: 'pkcs8', format: 'pem' }));
  healthPort = await freePort();
  env = {
    PATH: process.env.PATH,
    NATS_URL: server.url,
    VOUCH_NATS_SEED_FILE: join(root, 'seed'),
    VOUCH_SIGNING_KEY_FILE: join(root, 'key.pem'),
    VOUCH_TRUST_FILE: join(root, 'trust.json'),
    VOUCH_MODE: 'development',
    VOUCH_HEALTH_LISTEN: `127.0.0.1:${healthPort}`,
  };
});

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

afterAll(async () => {
  await connection.close();
  await server.stop();
  await rm(root, { recursive: true, force: true });
});

interface Running {
  readonly child: ChildProcess;
  readonly lines: Record<string, unknown>[];
  readonly stderr: () => string;
  readonly exit: Promise<number | null>;
}

function run(more: NodeJS.ProcessEnv = {}): Running {
  const child = spawn(process.execPath, [ENTRY], { env: { ...env, ...more }, stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  const lines: Record<string, unknown>[] = [];
  let rest = '';
  let stderr = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    const parts = (rest + chunk.toString()).split('\n');
    rest = parts.pop() ?? '';
    for (const line of parts) lines.push(JSON.parse(line) as Record<string, unknown>);
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const exit = new Promise<number | null>((resolve) => child.once('close', resolve));
  return { child, lines, stderr: () => stderr, exit };
}

async function ready(running: Running): Promise<void> {
  await expect.poll(() => running.lines.some(({ msg }) => msg === 'ready'), { timeout: 20_000 }).toBe(true);
}

const get = (path: string) => fetch(`http://127.0.0.1:${healthPort}${path}`);

describe('runService', () => {
  test('serves events and requests, reports health and metrics, and ends orderly on SIGTERM', async () => {
    await store.append(appRegistered(author, 1), 0);
    const running = run();
    await ready(running);
    await expect.poll(async () => (await get('/readyz')).status).toBe(200);
    const asked = await busRequest(connection, 'kms.challenge.host-1', {}, { timeoutMs: 5000 });
    expect(asked).toEqual({ seen: 1, subject: 'kms.challenge.host-1' });
    const refused = busRequest(connection, 'kms.challenge.refused', {}, { timeoutMs: 5000 });
    await expect(refused).rejects.toMatchObject({ code: 'refused', retryable: false });
    expect((await get('/healthz')).status).toBe(200);
    expect(await (await get('/metrics')).text()).toContain(
      'vouch_events_handled_total{consumer="ordered read of evt.>",type="app.registered",outcome="ok"} 1',
    );
    running.child.kill('SIGTERM');
    expect(await running.exit).toBe(0);
    expect(running.lines.every(({ service }) => service === 'control-api')).toBe(true);
  });

  test('a bad configuration is one clear line and exit 78', async () => {
    const running = run({ VOUCH_TRUST_FILE: '', NATS_URL: '' });
    expect(await running.exit).toBe(78);
    expect(running.stderr().trim().split('\n')).toEqual([
      'vouch control-api: bad configuration: NATS_URL: is required but not set; VOUCH_TRUST_FILE: is required but not set',
    ]);
  });

  test('a key the trust file does not list is refused at start', async () => {
    const stranger = testIdentities([['control-api', '']]).authors[0] as EventAuthor;
    await writeFile(join(root, 'other.pem'), stranger.privateKey.export({ type: 'pkcs8', format: 'pem' }));
    const running = run({ VOUCH_SIGNING_KEY_FILE: join(root, 'other.pem') });
    expect(await running.exit).toBe(78);
    expect(running.stderr()).toContain(`does not list the signing key of control-api (${stranger.keyid})`);
  });

  test('a taken health port is a configuration error', async () => {
    const first = run();
    await ready(first);
    const second = run();
    expect(await second.exit).toBe(78);
    expect(second.stderr()).toContain('VOUCH_HEALTH_LISTEN: cannot listen there (EADDRINUSE)');
  });

  test('a fatal consumer error: logged with the real error, exit 70, and again after a restart', async () => {
    const first = run();
    await ready(first);
    const cordoned = authorEvent(author, {
      id: '00000000-0000-4000-8000-000000000001',
      type: 'host.cordoned',
      data: { hostId: 'host-1', reason: 'test' },
      time: new Date(),
      actor: 'test',
      cause: '',
      corr: '',
    });
    await store.append(cordoned, 0);
    expect(await first.exit).toBe(70);
    const fatal = first.lines.find(({ level }) => level === 'fatal');
    expect(fatal).toMatchObject({ where: 'ordered read of evt.>', err: { message: 'a bug in a handler' } });
    expect(await run().exit).toBe(70);
  });
});
