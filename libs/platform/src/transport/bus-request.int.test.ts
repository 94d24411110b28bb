import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Metrics } from '../health/metrics.js';
import { ServiceState } from '../health/service-state.js';
import { type LocalServer, startNats } from '../local-servers/index.js';
import { RecordingLogger } from '../testing/recording-logger.js';
import { busRequest } from './bus-request.js';
import { type BusRequestContext, BusRequestTransport } from './bus-request-transport.js';

let root: string;
let server: LocalServer;
let connection: NatsConnection;
let transport: BusRequestTransport;
let logger: RecordingLogger;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'vouch-requests-'));
  server = await startNats({
    dataDir: join(root, 'nats'),
    config: ({ listen, storeDir }) => `listen: "${listen}"\njetstream { store_dir: "${storeDir}" }\n`,
  });
  connection = await connect({ servers: server.url });
});

afterAll(async () => {
  await connection.close();
  await server.stop();
  await rm(root, { recursive: true, force: true });
});

afterEach(() => transport.close());

type Handler = (request: unknown, context: BusRequestContext) => Promise<unknown>;

async function serve(handler: Handler, more: { maxInFlight?: number; maxRequestBytes?: number } = {}): Promise<void> {
  logger = new RecordingLogger();
  const parts = { state: new ServiceState(), metrics: new Metrics(), logger };
  transport = new BusRequestTransport({ connection, queue: 'test', ...parts, ...more });
  transport.addHandler('t.ask.*', handler as never);
  await new Promise<void>((resolve, reject) => transport.listen((error) => (error ? reject(error) : resolve())));
}

const ask = (body: unknown = {}) => busRequest(connection, 't.ask.host-1', body, { timeoutMs: 5000 });

describe('request and reply', () => {
  test('JSON there, JSON back, with the subject the request came on', async () => {
    await serve(async (request, context) => ({ request, subject: context.subject }));
    expect(await ask({ a: 1 })).toEqual({ request: { a: 1 }, subject: 't.ask.host-1' });
  });

  test("the handler's own error keeps its code and whether a retry can help", async () => {
    await serve(async () => {
      throw Object.assign(new Error('the instance is not placed here'), { code: 'not-placed', retryable: false });
    });
    await expect(ask()).rejects.toMatchObject({
      code: 'not-placed',
      retryable: false,
      message: 'the instance is not placed here',
    });
  });

  test('an unexpected error is not shown to the asker, but logged', async () => {
    await serve(async () => {
      throw new Error('connect to 10.0.0.1 failed with password hunter2');
    });
    await expect(ask()).rejects.toMatchObject({ code: 'internal', message: expect.not.stringContaining('hunter2') });
    expect(logger.lines).toMatchObject([{ level: 'error', message: 'a request failed' }]);
  });

  test('a request that is not JSON, or too large, is refused without calling the handler', async () => {
    let calls = 0;
    await serve(async () => (calls += 1), { maxRequestBytes: 64 });
    const reply = await connection.request('t.ask.x', 'not json');
    expect(reply.json()).toMatchObject({ error: { code: 'bad-request', retryable: false } });
    await expect(ask('x'.repeat(100))).rejects.toMatchObject({ code: 'bad-request' });
    expect(calls).toBe(0);
  });

  test('more requests at once than allowed are told to come back', async () => {
    let release: () => void = () => undefined;
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    await serve(async () => await released.then(() => 'done'), { maxInFlight: 1 });
    const first = ask();
    await expect(ask()).rejects.toMatchObject({ code: 'busy', retryable: true });
    release();
    expect(await first).toBe('done');
  });

  test('nobody there is an error of its own', async () => {
    await serve(async () => null);
    const asking = busRequest(connection, 'nobody.here', {}, { timeoutMs: 2000 });
    await expect(asking).rejects.toMatchObject({ code: 'no-responder', retryable: true });
  });

  test('close answers what was taken and takes no more', async () => {
    let release: () => void = () => undefined;
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    let calls = 0;
    await serve(async () => {
      calls += 1;
      await released;
      return 'done';
    });
    const asking = ask();
    await expect.poll(() => calls).toBe(1);
    const closing = transport.close();
    release();
    await closing;
    expect(await asking).toBe('done');
    await expect(ask()).rejects.toMatchObject({ code: 'no-responder' });
  });
});
