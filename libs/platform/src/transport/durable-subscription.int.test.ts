import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AckPolicy, type JetStreamManager, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { JetStreamEventStore } from '@vouch/eventstore';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Metrics } from '../health/metrics.js';
import { ServiceState } from '../health/service-state.js';
import { type LocalServer, startNats } from '../local-servers/index.js';
import { RecordingLogger } from '../testing/recording-logger.js';
import { appRegistered } from '../testing/test-events.js';
import { strangerAuthor, testIdentities } from '../testing/test-service-identity.js';
import type { DurableEvents } from './event-subscription.js';
import type { JetStreamContext } from './jetstream-context.js';
import { JetStreamTransport } from './jetstream-transport.js';

const { directory, authors } = testIdentities([['control-api', '']]);
const [author] = authors;
if (author === undefined) throw new Error('no author');

let root: string;
let server: LocalServer;
let connection: NatsConnection;
let manager: JetStreamManager;
let store: JetStreamEventStore;
let state: ServiceState;
let transport: JetStreamTransport;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'vouch-transport-'));
  server = await startNats({ dataDir: join(root, 'nats'), config });
  connection = await connect({ servers: server.url, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
  manager = await jetstreamManager(connection);
});

afterAll(async () => {
  await connection.close();
  await server.stop();
  await rm(root, { recursive: true, force: true });
});

/** Without deny_delete, so that a test can make a hole. */
beforeEach(async () => {
  await manager.streams.add({ name: 'EVENTS', subjects: ['evt.>'] });
  store = new JetStreamEventStore({ connection, directory });
  state = new ServiceState();
  transport = newTransport();
});

afterEach(async () => {
  await transport.close();
  await manager.streams.delete('EVENTS');
});

function config({ listen, storeDir }: { listen: string; storeDir: string }): string {
  return `listen: "${listen}"\njetstream { store_dir: "${storeDir}", sync_interval: always }\n`;
}

function newTransport(): JetStreamTransport {
  return new JetStreamTransport({
    store,
    directory,
    connection,
    state,
    metrics: new Metrics(),
    logger: new RecordingLogger(),
  });
}

async function consume(
  handler: (seq: number, context: JetStreamContext) => Promise<void>,
  extras: Partial<DurableEvents> = {},
  ackWaitMs = 30_000,
): Promise<void> {
  const name = { durable_name: 'test', ack_policy: AckPolicy.Explicit, ack_wait: ackWaitMs * 1e6, max_deliver: -1 };
  await manager.consumers.add('EVENTS', name);
  transport.addHandler('evt.>', (event, context) => handler(event.seq, context), true, { durable: 'test', ...extras });
  transport.listen((error) => {
    if (error) throw error;
  });
}

const append = (n: number) => store.append(appRegistered(author, n), 0);
const floor = async () => (await manager.consumers.info('EVENTS', 'test')).ack_floor.stream_seq;

describe('durable consumer', () => {
  test('acknowledges after success only, and brings an event back after an error', async () => {
    await append(1);
    const deliveries: number[] = [];
    await consume(async (_seq, context) => {
      deliveries.push(context.deliveries);
      if (context.deliveries < 3) throw new Error('not yet');
      expect(await floor()).toBe(0);
    });
    await expect.poll(floor, { timeout: 20_000 }).toBe(1);
    expect(deliveries).toEqual([1, 2, 3]);
    await expect.poll(() => state.isReady).toBe(true);
  });

  test('while an event keeps failing the service is not ready, and says why', async () => {
    await append(1);
    await consume(async () => {
      throw new Error('the database is away');
    });
    await expect.poll(() => state.reasons).toEqual({ 'consumer test': 'the database is away' });
    expect(state.fatal).toBeUndefined();
  });

  test('never more handlers at once than maxInFlight', async () => {
    for (let n = 1; n <= 20; n += 1) await append(n);
    let running = 0;
    let most = 0;
    await consume(
      async () => {
        running += 1;
        most = Math.max(most, running);
        await connection.rtt();
        running -= 1;
      },
      { maxInFlight: 3 },
    );
    await expect.poll(floor, { timeout: 20_000 }).toBe(20);
    expect(most).toBeLessThanOrEqual(3);
    expect(most).toBeGreaterThan(1);
  });

  test('a handler that takes longer than the ack wait is not given the event again', async () => {
    await append(1);
    const deliveries: number[] = [];
    let finish: () => void = () => undefined;
    const finished = new Promise<void>((resolve) => {
      finish = resolve;
    });
    await consume(
      async (_seq, context) => {
        deliveries.push(context.deliveries);
        await finished;
      },
      {},
      600,
    );
    await expect.poll(() => deliveries.length).toBe(1);
    // Three ack waits go by on the server; the transport says every third of one that work goes on.
    await new Promise((resolve) => setTimeout(resolve, 1800));
    finish();
    await expect.poll(floor).toBe(1);
    expect(deliveries).toEqual([1]);
  });

  test('an event nobody known signed stops the consumer: not acknowledged, nothing after it handled', async () => {
    const forged = appRegistered(strangerAuthor('control-api', ''), 1);
    await append(2);
    connection.publish(forged.envelope.subject, forged.bytes);
    await connection.flush();
    await append(3);
    const seen: number[] = [];
    await consume(async (seq) => void seen.push(seq), { maxInFlight: 1 });
    expect((await state.failed).error).toMatchObject({ code: 'event-author-unknown' });
    expect(seen).toEqual([1]);
    expect(await floor()).toBe(1);
  });

  test('in order: a hole is fatal, before anything behind it is handled', async () => {
    for (const n of [1, 2, 3]) await append(n);
    await manager.streams.deleteMessage('EVENTS', 2);
    const seen: number[] = [];
    await consume(async (seq) => void seen.push(seq), { inOrder: true });
    expect((await state.failed).error).toMatchObject({ code: 'sequence-gap', expectedSeq: 2, gotSeq: 3 });
    expect(seen).toEqual([1]);
  });

  test('an error that says it cannot be retried is fatal', async () => {
    await append(1);
    await consume(async () => {
      throw Object.assign(new Error('for ever'), { code: 'x', retryable: false });
    });
    expect((await state.failed).error.message).toBe('for ever');
    expect(await floor()).toBe(0);
  });

  test('close waits for the running handler and takes nothing more', async () => {
    for (const n of [1, 2, 3]) await append(n);
    const seen: number[] = [];
    await consume(
      async (seq, { signal }) => {
        seen.push(seq);
        if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve));
      },
      { maxInFlight: 1 },
    );
    await expect.poll(() => seen).toEqual([1]);
    await transport.close();
    expect(await floor()).toBe(1);
    expect(seen).toEqual([1]);
  });

  test('goes on after the server was killed and came back', async () => {
    await append(1);
    const seen = new Set<number>();
    await consume(async (seq) => void seen.add(seq));
    await expect.poll(() => seen.has(1)).toBe(true);
    const { port } = server;
    await server.kill9();
    server = await startNats({ dataDir: join(root, 'nats'), port, config });
    await expect
      .poll(
        () =>
          append(2).then(
            () => true,
            () => false,
          ),
        { timeout: 30_000 },
      )
      .toBe(true);
    await expect.poll(() => seen.has(2), { timeout: 40_000 }).toBe(true);
  });
});
