import { EventStoreUnavailableError, MemoryEventStore } from '@vouch/eventstore';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Metrics } from '../health/metrics.js';
import { ServiceState } from '../health/service-state.js';
import { RecordingLogger } from '../testing/recording-logger.js';
import { appRegistered } from '../testing/test-events.js';
import { strangerAuthor, testIdentities } from '../testing/test-service-identity.js';
import { JetStreamTransport } from './jetstream-transport.js';

const { directory, authors } = testIdentities([['control-api', '']]);
const [author] = authors;
if (author === undefined) throw new Error('no author');

let store: MemoryEventStore;
let state: ServiceState;
let transport: JetStreamTransport;

beforeEach(() => {
  store = new MemoryEventStore({ directory, now: () => new Date('2026-01-01T00:00:00.000Z') });
  state = new ServiceState();
  transport = new JetStreamTransport({
    store,
    directory,
    state,
    metrics: new Metrics(),
    logger: new RecordingLogger(),
  });
});

afterEach(() => transport.close());

function listen(): void {
  transport.listen((error) => {
    if (error) throw error;
  });
}

const append = (n: number) => store.append(appRegistered(author, n), 0);

describe('ordered mode', () => {
  test('delivers what was there and what comes, in order; ready once the past is handled', async () => {
    for (const n of [1, 2, 3]) await append(n);
    const seen: number[] = [];
    let wasReadyDuringPast = false;
    transport.addHandler(
      'evt.>',
      async (event) => {
        if (event.seq <= 3 && state.isReady) wasReadyDuringPast = true;
        seen.push(event.seq);
      },
      true,
      { ordered: true },
    );
    listen();
    expect(state.isReady).toBe(false);
    await expect.poll(() => state.isReady).toBe(true);
    await append(4);
    await expect.poll(() => seen).toEqual([1, 2, 3, 4]);
    expect(wasReadyDuringPast).toBe(false);
  });

  test('starts at fromSeq and keeps to its filter', async () => {
    for (const n of [1, 2, 3]) await append(n);
    const late: number[] = [];
    const filtered: number[] = [];
    transport.addHandler('evt.>', async (event) => void late.push(event.seq), true, { ordered: true, fromSeq: 3 });
    transport.addHandler(`evt.app.${'2'.padStart(40, '0')}`, async (event) => void filtered.push(event.seq), true, {
      ordered: true,
    });
    listen();
    await expect.poll(() => [late, filtered]).toEqual([[3], [2]]);
  });

  test('a retryable error repeats the same event before the next', async () => {
    for (const n of [1, 2]) await append(n);
    const seen: string[] = [];
    transport.addHandler(
      'evt.>',
      async (event, context) => {
        seen.push(`${event.seq}/${context.deliveries}`);
        if (event.seq === 1 && context.deliveries < 3) throw new EventStoreUnavailableError('not now');
      },
      true,
      { ordered: true },
    );
    listen();
    await expect.poll(() => seen).toEqual(['1/1', '1/2', '1/3', '2/1']);
    expect(state.fatal).toBeUndefined();
  });

  test('any other error is fatal: nothing after it is handled', async () => {
    for (const n of [1, 2]) await append(n);
    const seen: number[] = [];
    transport.addHandler(
      'evt.>',
      async (event) => {
        seen.push(event.seq);
        throw new TypeError('a bug');
      },
      true,
      { ordered: true },
    );
    listen();
    expect((await state.failed).error.message).toBe('a bug');
    expect(seen).toEqual([1]);
    expect(state.isReady).toBe(false);
  });

  test('a hole in the log is fatal', async () => {
    for (const n of [1, 2, 3]) await append(n);
    store.damageDrop(2);
    transport.addHandler('evt.>', async () => undefined, true, { ordered: true });
    listen();
    expect((await state.failed).error).toMatchObject({ code: 'sequence-gap' });
  });

  test('an event nobody known signed is fatal', async () => {
    const forged = appRegistered(strangerAuthor('control-api', ''), 1);
    store.injectRaw(forged.envelope.subject, forged.bytes);
    transport.addHandler('evt.>', async () => undefined, true, { ordered: true });
    listen();
    expect((await state.failed).error).toMatchObject({ code: 'event-author-unknown' });
  });

  test('message handlers are left to the other transport', async () => {
    transport.addHandler('evt.>', async () => undefined, false);
    listen();
    expect(state.isReady).toBe(true);
  });

  test('a handler that says neither durable nor ordered is refused at start', () => {
    transport.addHandler('evt.>', async () => undefined, true);
    let refused: unknown;
    transport.listen((error) => {
      refused = error;
    });
    expect(String(refused)).toMatch(/durable.*ordered/);
  });
});
