import { AckPolicy, DeliverPolicy } from '@nats-io/jetstream';
import { nanos, nuid } from '@nats-io/transport-node';
import type { ReadOptions } from '../event-store.js';
import { EventStoreUnavailableError, SequenceGapError, StreamWentBackError } from '../event-store-errors.js';
import { assertPosition } from '../position.js';
import type { RawStoredMessage } from '../stored-event.js';
import { type LogApi, throwIfForbidden } from './log-api.js';
import { PullSession } from './pull-session.js';

/** How long the server keeps a reader's consumer between two pulls, ms. A slower caller just gets a new one. */
const INACTIVE_MS = 30_000;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2_000;

/**
 * Delivers messages in order from `fromSeq`. The position is kept here, not on the server: whatever happens to the
 * connection or the consumer, a new consumer starts right after the last message the caller took. So nothing is lost or
 * repeated, and the gap check holds across every restart.
 */
export class LogReader {
  readonly #unfiltered: boolean;
  readonly #signal: AbortSignal | undefined;
  #position: number;

  constructor(
    private readonly api: LogApi,
    private readonly options: ReadOptions,
    /** Non-following reads give up after this many ms without an answer; following ones wait for ever. */
    private readonly deadlineMs: number,
  ) {
    assertPosition('fromSeq', options.fromSeq, 1);
    this.#unfiltered = options.filters === undefined || options.filters.length === 0;
    this.#signal = options.signal;
    this.#position = options.fromSeq - 1;
  }

  async *messages(): AsyncGenerator<RawStoredMessage> {
    let end: number | undefined;
    let pauseMs = FIRST_PAUSE_MS;
    let silentSince = performance.now();
    while (this.#signal?.aborted !== true) {
      let session: PullSession | undefined;
      try {
        const lastSeq = await this.api.lastSeq();
        if (lastSeq < this.#position) throw new StreamWentBackError(lastSeq, this.#position);
        end ??= lastSeq;
        if (!this.options.follow && this.#position >= end) return;
        session = await this.#openSession();
        for await (const message of this.#deliver(session, end)) {
          pauseMs = FIRST_PAUSE_MS;
          yield message;
          silentSince = performance.now();
        }
        if (session.isComplete) return;
      } catch (error) {
        this.#rethrowIfFinal(error, silentSince);
      } finally {
        session?.close();
      }
      await this.#pause(pauseMs);
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
    }
  }

  /** Yields until the session ends (it must then be replaced) or, when not following, until `end` was reached. */
  async *#deliver(session: PullSession, end: number): AsyncGenerator<RawStoredMessage> {
    const { follow } = this.options;
    if (!follow && session.created.pending + session.created.delivered === 0) {
      this.#finish(session, end);
      return;
    }
    for (;;) {
      const delivery = await session.next(follow);
      if (delivery === 'ended') return;
      if (delivery === 'drained') {
        this.#finish(session, end);
        return;
      }
      const { message, pending } = delivery;
      if (!follow && message.seq > end) {
        this.#finish(session, end);
        return;
      }
      if (this.#unfiltered && message.seq !== this.#position + 1) {
        throw new SequenceGapError(this.#position + 1, message.seq);
      }
      this.#position = message.seq;
      yield message;
      if (!follow && (message.seq >= end || pending === 0)) {
        this.#finish(session, end);
        return;
      }
    }
  }

  /** A finite read is through. Messages missing before the end are a hole too. */
  #finish(session: PullSession, end: number): void {
    if (this.#unfiltered && this.#position < end) throw new SequenceGapError(this.#position + 1, end + 1);
    session.isComplete = true;
  }

  async #openSession(): Promise<PullSession> {
    const { filters } = this.options;
    const name = `reader-${nuid.next()}`;
    const created = await this.api.createConsumer({
      name,
      ...(this.#unfiltered || filters === undefined
        ? {}
        : filters.length === 1 && filters[0] !== undefined
          ? { filter_subject: filters[0] }
          : { filter_subjects: [...filters] }),
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: this.#position + 1,
      ack_policy: AckPolicy.None,
      inactive_threshold: nanos(INACTIVE_MS),
      mem_storage: true,
      num_replicas: 1,
    });
    return new PullSession(this.api, name, created, this.#signal);
  }

  #rethrowIfFinal(error: unknown, silentSince: number): void {
    if (error instanceof SequenceGapError || error instanceof StreamWentBackError) throw error;
    if (error instanceof TypeError || error instanceof RangeError) throw error;
    throwIfForbidden(error);
    const { connection, streamName } = this.api;
    if (this.#signal?.aborted === true) return;
    const waitedMs = performance.now() - silentSince;
    if (connection.isClosed() || (!this.options.follow && waitedMs > this.deadlineMs)) {
      const message = `${streamName}: not readable at position ${this.#position + 1}`;
      throw new EventStoreUnavailableError(message, { cause: error });
    }
  }

  #pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#signal?.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, milliseconds);
      this.#signal?.addEventListener('abort', done, { once: true });
    });
  }
}
