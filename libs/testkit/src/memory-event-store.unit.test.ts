import { MemoryEventStore, SequenceGapError, type StoredEvent, StreamWentBackError } from '@vouch/eventstore';
import { describe, expect, it } from 'vitest';
import { describeEventStore } from './contract.js';
import { FakeClock } from './fake-clock.js';
import { makeTestAuthors } from './test-authors.js';

describeEventStore('in-memory event store', async () => {
  const authors = makeTestAuthors();
  const store = new MemoryEventStore({ directory: authors.directory, now: new FakeClock().now });
  return {
    store,
    authors,
    injectRaw: async (subject, bytes) => void store.injectRaw(subject, bytes),
    loseNextAck: () => store.dropAcks(1),
    setUnavailable: async (unavailable) => store.setUnavailable(unavailable),
    close: async () => undefined,
  };
});

describe('in-memory event store, damaged', () => {
  const authors = makeTestAuthors();
  const filled = async (count: number) => {
    const store = new MemoryEventStore({ directory: authors.directory, now: new FakeClock().now });
    for (let index = 0; index < count; index += 1) {
      const appId = index.toString(16).padStart(40, '0');
      const event = authors.event(authors.of('control-api'), 'app.registered', { appId, name: 'n', owner: 'test' });
      await store.append(event, 0);
    }
    return store;
  };
  const read = async (store: MemoryEventStore, filters: string[] = []) => {
    const events: StoredEvent[] = [];
    for await (const event of store.read({ fromSeq: 1, follow: false, filters })) events.push(event);
    return events;
  };

  it('names the hole an unfiltered reader meets', async () => {
    const store = await filled(5);
    store.damageDrop(3);
    await expect(read(store)).rejects.toThrow(SequenceGapError);
    await expect(read(store)).rejects.toMatchObject({ expectedSeq: 3, gotSeq: 4, retryable: false });
  });

  it('sees a hole at the very end', async () => {
    const store = await filled(5);
    store.damageDrop(5);
    await expect(read(store)).rejects.toMatchObject({ expectedSeq: 5 });
  });

  it('cannot see holes through a filter', async () => {
    const store = await filled(5);
    store.damageDrop(3);
    expect(await read(store, ['evt.app.>'])).toHaveLength(4);
  });

  it('stops a follower when the log is cut behind it', async () => {
    const store = await filled(5);
    const reading = (async () => {
      for await (const { seq } of store.read({ fromSeq: 1, follow: true })) if (seq === 5) store.damageTruncate(2);
    })();
    await expect(reading).rejects.toThrow(StreamWentBackError);
  });
});
