import { type AuthoredEvent, type KeyDirectory, verifyBeforeAppend } from '@vouch/domain';
import type { AppendOutcome, EventStore, ReadOptions, StoredEvent } from './event-store.js';
import { EventStoreUnavailableError, SequenceGapError, StreamWentBackError } from './event-store-errors.js';
import { assertPosition } from './position.js';
import { openStored, type RawStoredMessage } from './stored-event.js';
import { matchesAnyFilter } from './subject-filter.js';

export interface MemoryEventStoreOptions {
  readonly directory: KeyDirectory;
  /** Clock for `storedAt`. */
  readonly now: () => Date;
}

/**
 * The in-memory twin of the JetStream store: same promises, same errors, no I/O. Its fault hooks let a test take the
 * store away, lose an acknowledgement, or damage what is stored.
 */
export class MemoryEventStore implements EventStore {
  readonly #directory: KeyDirectory;
  readonly #now: () => Date;
  #messages: RawStoredMessage[] = [];
  #nextSeq = 1;
  #acksToDrop = 0;
  #unavailable = false;
  readonly #wakers = new Set<() => void>();

  constructor(options: MemoryEventStoreOptions) {
    this.#directory = options.directory;
    this.#now = options.now;
  }

  /** Fault hook: the next `count` appends store their event but lose the acknowledgement. */
  dropAcks(count: number): void {
    this.#acksToDrop = count;
  }

  /** Fault hook: while true, every request throws EventStoreUnavailableError; readers that follow stay silent. */
  setUnavailable(unavailable: boolean): void {
    this.#unavailable = unavailable;
    this.#wake();
  }

  /** Fault hook: stores bytes as they are, unchecked, as an attacker on the broker could. Returns the position. */
  injectRaw(subject: string, bytes: Uint8Array): number {
    return this.#store(subject, bytes);
  }

  /** Fault hook: removes a stored message and leaves a hole. */
  damageDrop(seq: number): void {
    this.#messages = this.#messages.filter((message) => message.seq !== seq);
  }

  /** Fault hook: cuts everything after `seq`; the next append reuses `seq + 1`. */
  damageTruncate(seq: number): void {
    this.#messages = this.#messages.filter((message) => message.seq <= seq);
    this.#nextSeq = seq + 1;
    this.#wake();
  }

  async append(event: AuthoredEvent, expectedLastSeq: number): Promise<AppendOutcome> {
    this.#assertAvailable();
    assertPosition('expectedLastSeq', expectedLastSeq, 0);
    const { subject, id } = event.envelope;
    verifyBeforeAppend(event, this.#directory);
    const next = this.#messages.find((message) => message.subject === subject && message.seq > expectedLastSeq);
    if (next !== undefined) {
      // The one event that may stand at this expected position: mine (a repeat) or another's (a conflict).
      if (openStored(next, this.#directory).envelope.id === id) return { ok: true, seq: next.seq, duplicate: true };
      return { ok: false, code: 'conflict', lastSeq: this.#lastRaw(subject)?.seq ?? 0 };
    }
    const last = this.#lastRaw(subject)?.seq ?? 0;
    if (last !== expectedLastSeq) {
      throw new EventStoreUnavailableError(
        `${subject}: expected last position ${expectedLastSeq}, the log has ${last}`,
      );
    }
    const seq = this.#store(subject, event.bytes);
    if (this.#acksToDrop > 0) {
      this.#acksToDrop -= 1;
      // The JetStream store reads the subject after a lost acknowledgement and finds its own event.
      return { ok: true, seq, duplicate: true };
    }
    return { ok: true, seq, duplicate: false };
  }

  async readSubject(subject: string): Promise<StoredEvent[]> {
    this.#assertAvailable();
    return this.#messages
      .filter((message) => message.subject === subject)
      .map((message) => openStored(message, this.#directory));
  }

  async lastOf(subject: string): Promise<StoredEvent | undefined> {
    this.#assertAvailable();
    const last = this.#lastRaw(subject);
    return last === undefined ? undefined : openStored(last, this.#directory);
  }

  async lastSeq(): Promise<number> {
    this.#assertAvailable();
    return this.#nextSeq - 1;
  }

  async *read(options: ReadOptions): AsyncGenerator<StoredEvent> {
    const { filters, follow, signal } = options;
    const unfiltered = filters === undefined || filters.length === 0;
    assertPosition('fromSeq', options.fromSeq, 1);
    this.#assertAvailable();
    const end = this.#nextSeq - 1;
    let position = options.fromSeq - 1;
    for (;;) {
      if (signal?.aborted === true) return;
      if (this.#nextSeq - 1 < position) throw new StreamWentBackError(this.#nextSeq - 1, position);
      const next = this.#unavailable ? undefined : this.#messages.find((message) => message.seq > position);
      if (next === undefined || (!follow && next.seq > end)) {
        if (unfiltered && !this.#unavailable && position < end) throw new SequenceGapError(position + 1, end + 1);
        if (!follow) return;
        await this.#sleep(signal);
        continue;
      }
      if (unfiltered && next.seq !== position + 1) throw new SequenceGapError(position + 1, next.seq);
      position = next.seq;
      if (matchesAnyFilter(next.subject, filters)) yield openStored(next, this.#directory);
    }
  }

  #assertAvailable(): void {
    if (this.#unavailable) throw new EventStoreUnavailableError('the event store is not available');
  }

  #lastRaw(subject: string): RawStoredMessage | undefined {
    return this.#messages.findLast((message) => message.subject === subject);
  }

  #store(subject: string, bytes: Uint8Array): number {
    const seq = this.#nextSeq;
    this.#nextSeq += 1;
    this.#messages.push({ seq, subject, storedAt: this.#now(), bytes: Uint8Array.from(bytes) });
    this.#wake();
    return seq;
  }

  #wake(): void {
    for (const waker of this.#wakers) waker();
  }

  #sleep(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#wakers.delete(done);
        signal?.removeEventListener('abort', done);
        resolve();
      };
      this.#wakers.add(done);
      signal?.addEventListener('abort', done, { once: true });
    });
  }
}
