import { MemoryEventStore } from '@vouch/eventstore';
import { beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from './clock.js';
import { deterministicEventId } from './deterministic-event-id.js';
import { EventWriter } from './event-writer.js';
import { Metrics } from './health/metrics.js';
import { testIdentities } from './testing/test-service-identity.js';

const { directory, authors } = testIdentities([['host-worker', 'h1']]);
const [author] = authors;
const instanceId = 'a'.repeat(40);
const place = { hostId: 'h1', instanceId, epoch: 1 };
const subject = `evt.vm.h1.${instanceId}`;
const actor = 'host-worker/h1';

let store: MemoryEventStore;
let writer: EventWriter;

beforeEach(() => {
  store = new MemoryEventStore({ directory, now: () => new Date('2026-01-01T00:00:00.000Z') });
  writer = new EventWriter(store, author ?? null, systemClock, new Metrics());
});

const step = (name: string, id?: string, expected?: number) =>
  writer.write(
    'vm.boot-progressed',
    { ...place, step: name, detail: '' },
    { actor, ...(id === undefined ? {} : { id }), ...(expected === undefined ? {} : { expected }) },
  );

describe('EventWriter', () => {
  test('appends after whatever is there', async () => {
    expect(await step('one')).toMatchObject({ ok: true, seq: 1, duplicate: false });
    expect(await step('two')).toMatchObject({ ok: true, seq: 2, duplicate: false });
  });

  test('a repeated id is one event, even when others came after it', async () => {
    const id = deterministicEventId('launch', instanceId, 1);
    await step('one', id);
    await step('two');
    expect(await step('one', id)).toEqual({ ok: true, id, seq: 1, duplicate: true });
    expect(await store.readSubject(subject)).toHaveLength(2);
  });

  test('a lost acknowledgement does not double the event', async () => {
    store.dropAcks(1);
    expect(await step('one')).toMatchObject({ ok: true, seq: 1 });
    expect(await store.readSubject(subject)).toHaveLength(1);
  });

  test('an unavailable store is asked again until it answers', async () => {
    store.setUnavailable(true);
    const writing = step('one');
    store.setUnavailable(false);
    expect(await writing).toMatchObject({ ok: true, seq: 1 });
  });

  test('after the deadline the store is reported unavailable, as retryable', async () => {
    store.setUnavailable(true);
    const data = { ...place, step: 'one', detail: '' };
    const writing = writer.write('vm.boot-progressed', data, { actor, deadlineMs: 0 });
    await expect(writing).rejects.toMatchObject({ code: 'event-store-unavailable', retryable: true });
  });

  test('with an expected position a conflict is a value', async () => {
    await step('one');
    expect(await step('two', undefined, 0)).toEqual({ ok: false, code: 'conflict', lastSeq: 1 });
  });

  test('racing writers without an expected position all succeed', async () => {
    const outcomes = await Promise.all(['a', 'b', 'c', 'd', 'e'].map((name) => step(name)));
    expect(outcomes.every(({ ok }) => ok)).toBe(true);
    expect(await store.readSubject(subject)).toHaveLength(5);
  });

  test('data that breaks the schema is refused and nothing is stored', async () => {
    await expect(step('')).rejects.toMatchObject({ code: 'event-schema-violation' });
    expect(await store.lastSeq()).toBe(0);
  });

  test("another service's type is refused", async () => {
    const data = { hostId: 'h1', reason: 'x' };
    await expect(writer.write('host.cordoned', data, { actor })).rejects.toMatchObject({
      code: 'event-author-not-allowed',
    });
  });
});

describe('deterministicEventId', () => {
  test('is a version 8 UUID, stable, and keeps parts apart', () => {
    const id = deterministicEventId('a', 'bc', 1);
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(deterministicEventId('a', 'bc', 1)).toBe(id);
    expect(deterministicEventId('ab', 'c', 1)).not.toBe(id);
  });
});
