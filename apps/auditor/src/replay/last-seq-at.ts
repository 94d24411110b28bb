import type { EventStore } from '@vouch/eventstore';

/** Sequence of the last event, up to `end`, that was stored at `time` or before; 0 when there is none. O(log n) reads. */
export async function lastSeqAt(store: EventStore, time: Date, end: number): Promise<number> {
  let [low, high] = [0, end];
  while (low < high) {
    const middle = low + Math.ceil((high - low) / 2);
    if ((await storedAt(store, middle)) <= time.getTime()) low = middle;
    else high = middle - 1;
  }
  return low;
}

async function storedAt(store: EventStore, seq: number): Promise<number> {
  for await (const event of store.read({ fromSeq: seq, follow: false })) return event.storedAt.getTime();
  return Number.POSITIVE_INFINITY;
}
