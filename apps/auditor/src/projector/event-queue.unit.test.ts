import type { StoredEvent } from '@vouch/eventstore';
import { describe, expect, it } from 'vitest';
import { EventQueue } from './event-queue.js';

function event(seq: number, size = 10): StoredEvent {
  return { seq, bytes: new Uint8Array(size) } as unknown as StoredEvent;
}

async function* source(count: number, failure?: Error, read: number[] = []): AsyncGenerator<StoredEvent> {
  for (let seq = 1; seq <= count; seq += 1) {
    read.push(seq);
    yield event(seq);
  }
  if (failure !== undefined) throw failure;
}

const seqs = (events: readonly StoredEvent[]) => events.map(({ seq }) => seq);

describe('event queue', () => {
  it('hands events over in order, in batches bounded by number and bytes', async () => {
    const queue = new EventQueue();
    await queue.fill(source(7));
    expect(seqs(await queue.take(3, 1000, 0))).toEqual([1, 2, 3]);
    expect(seqs(await queue.take(9, 25, 0))).toEqual([4, 5]);
    expect(seqs(await queue.take(9, 1, 0))).toEqual([6]);
    expect(queue.isDrained).toBe(false);
    expect(seqs(await queue.take(9, 1000, 0))).toEqual([7]);
    expect(queue.isDrained).toBe(true);
  });

  it("throws the reader's error only after what was read before it", async () => {
    const queue = new EventQueue();
    await queue.fill(source(2, new Error('gap')));
    expect(seqs(await queue.take(9, 1000, 0))).toEqual([1, 2]);
    expect(queue.isDrained).toBe(false);
    await expect(queue.take(9, 1000, Number.POSITIVE_INFINITY)).rejects.toThrow('gap');
  });

  it('reads no further ahead than its limit, and on when there is room', async () => {
    const queue = new EventQueue();
    const read: number[] = [];
    const filling = queue.fill(source(3000, undefined, read));
    const taken: number[] = [];
    while (!queue.isDrained) {
      taken.push(...seqs(await queue.take(100, 1_000_000, 1000)));
      expect((read.at(-1) ?? 0) - taken.length).toBeLessThanOrEqual(1025);
    }
    await filling;
    expect(taken).toHaveLength(3000);
  });

  it('can be woken while it waits, and before', async () => {
    const queue = new EventQueue();
    const waiting = queue.take(1, 1, Number.POSITIVE_INFINITY);
    queue.wake();
    expect(await waiting).toEqual([]);
    queue.wake();
    expect(await queue.take(1, 1, Number.POSITIVE_INFINITY)).toEqual([]);
  });

  it('lets the reader go when it is closed', async () => {
    const queue = new EventQueue();
    const filling = queue.fill(source(5000));
    await queue.take(1, 1000, 1000);
    queue.close();
    await filling;
  });
});
