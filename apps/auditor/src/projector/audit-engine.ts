import { setTimeout as delay } from 'node:timers/promises';
import { type EventStore, EventStoreUnavailableError, type StoredEvent, StreamWentBackError } from '@vouch/eventstore';
import type { CompactRange } from '@vouch/transparency';
import type { DataSource } from 'typeorm';
import { LeaderSession } from '../database/leader-session.js';
import { inTransaction, type SqlSession } from '../database/sql-session.js';
import { insertCheckpoint, type StoredCheckpoint } from './checkpoint-store.js';
import { EventQueue } from './event-queue.js';
import { IntegrityError } from './integrity-error.js';
import { loadVerifiedState } from './load-verified-state.js';
import { type LogIdentity, signedCheckpoint } from './log-signer.js';
import { projectBatch } from './project-batch.js';

const BATCH_EVENTS = 256;
const BATCH_BYTES = 4 * 1024 * 1024;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;
/** How often an idle auditor asks whether the log still reaches as far as it has read. */
const TAIL_CHECK_MS = 5_000;

export interface AuditEngineOptions {
  readonly dataSource: DataSource;
  readonly store: EventStore;
  readonly identity: LogIdentity;
  readonly clock: { now(): Date; monotonicMs(): number };
  /** News older than this is signed for without being asked. */
  readonly checkpointIntervalMs: number;
  readonly observer: AuditObserver;
  /** Session the leader writes through, made from the one that holds the lock. Tests put a failing one here. */
  readonly wrapSession?: (session: SqlSession) => SqlSession;
}

/** What the engine tells the shell around it. */
export interface AuditObserver {
  /** `standby`: another auditor leads. `following`: this one leads and its state is verified. */
  state(state: 'standby' | 'following'): void;
  /** What was found stored when the lead was taken; the last checkpoint may be one whose commit went unheard. */
  resumed(position: number, checkpoint: StoredCheckpoint | undefined): void;
  projected(events: number, position: number): void;
  signed(checkpoint: StoredCheckpoint): void;
  /** The work was interrupted and is taken up again after a pause. */
  retrying(error: Error): void;
}

/**
 * Projects the log into Postgres and signs checkpoints, in order and alone.
 *
 * It reads the log with an ordered reader from the event at its stored position on, not through a durable consumer: the
 * position that counts is the one that commits with the rows. A second one, kept by the broker as acknowledgements, adds
 * nothing when the two agree and loses events when they do not (a database restored from a backup is behind the
 * broker's). Reading from the stored position makes every restart, and every restore, the same case; and the first event
 * read is the one already copied, so a log that was cut and written anew is noticed by its bytes.
 *
 * Anything that is wrong with the log or the copy ends {@link run} with an error and nothing is skipped. What a retry
 * can help (a lost database or broker) is retried, from the position read back.
 */
export class AuditEngine {
  #position = 0;
  #signed: StoredCheckpoint | undefined;
  #signedAtMs = Number.NEGATIVE_INFINITY;
  readonly #demands = new Set<{ readonly seq: number }>();
  #queue: EventQueue | undefined;
  #isLeading = false;
  #tailCheckedMs = 0;

  constructor(private readonly options: AuditEngineOptions) {}

  /** True while this process is the one that signs. */
  get isLeading(): boolean {
    return this.#isLeading;
  }

  /** Asks for a checkpoint that covers `seq` as soon as that event is projected. Call what it returns when done. */
  demandCheckpoint(seq: number): () => void {
    const demand = { seq };
    this.#demands.add(demand);
    this.#queue?.wake();
    return () => this.#demands.delete(demand);
  }

  /** Works until `signal` aborts. Throws the error that no retry can help: the caller raises the alarm. */
  async run(signal: AbortSignal): Promise<void> {
    let pauseMs = FIRST_PAUSE_MS;
    while (!signal.aborted) {
      try {
        const before = this.#position;
        await this.#leadOnce(signal).finally(() => {
          if (this.#position > before) pauseMs = FIRST_PAUSE_MS;
        });
      } catch (error) {
        if ((error as { retryable?: unknown }).retryable !== true) throw error;
        this.options.observer.retrying(error as Error);
        await delay(pauseMs, undefined, { signal }).catch(() => undefined);
        pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
      }
    }
  }

  async #leadOnce(signal: AbortSignal): Promise<void> {
    this.options.observer.state('standby');
    const leader = await LeaderSession.acquire(this.options.dataSource, signal);
    if (leader === undefined) return;
    const reading = new AbortController();
    const queue = new EventQueue();
    this.#queue = queue;
    const stop = () => queue.wake();
    signal.addEventListener('abort', stop, { once: true });
    try {
      const session = this.options.wrapSession?.(leader) ?? leader;
      await this.#follow(session, queue, AbortSignal.any([signal, reading.signal]));
    } finally {
      this.#isLeading = false;
      this.#queue = undefined;
      signal.removeEventListener('abort', stop);
      reading.abort();
      queue.close();
      await leader.release();
    }
  }

  async #follow(session: SqlSession, queue: EventQueue, signal: AbortSignal): Promise<void> {
    const { store, identity, observer } = this.options;
    const state = await loadVerifiedState(session, identity);
    this.#position = state.tree.size;
    this.#signed = state.checkpoint;
    this.#signedAtMs = Number.NEGATIVE_INFINITY;
    await this.#checkTail(session);
    void queue.fill(store.read({ fromSeq: Math.max(1, this.#position), follow: true, signal }));
    if (state.lastBytes !== undefined) await assertSameEvent(queue, this.#position, state.lastBytes, signal);
    this.#isLeading = true;
    observer.state('following');
    observer.resumed(this.#position, this.#signed);
    let { tree } = state;
    while (!signal.aborted) {
      const events = await queue.take(BATCH_EVENTS, BATCH_BYTES, this.#waitMs());
      if (events.length > 0) tree = await this.#project(session, tree, events);
      else if (this.#signsNow(tree.size)) await this.#sign(session, tree);
      else if (this.#tailAgeMs() >= TAIL_CHECK_MS) await this.#checkTail(session);
      if (queue.isDrained && !signal.aborted) throw new EventStoreUnavailableError('the reader of the log ended');
    }
  }

  async #project(session: SqlSession, tree: CompactRange, events: readonly StoredEvent[]): Promise<CompactRange> {
    let checkpoint: StoredCheckpoint | undefined;
    const grown = await projectBatch(session, tree, events, async (extended) => {
      if (!this.#signsNow(extended.size)) return;
      checkpoint = signedCheckpoint(extended, this.options.identity, this.options.clock.now());
      await insertCheckpoint(session, checkpoint);
    });
    this.#position = grown.size;
    this.options.observer.projected(events.length, grown.size);
    if (checkpoint !== undefined) this.#publish(checkpoint);
    return grown;
  }

  async #sign(session: SqlSession, tree: CompactRange): Promise<void> {
    const checkpoint = signedCheckpoint(tree, this.options.identity, this.options.clock.now());
    await inTransaction(session, () => insertCheckpoint(session, checkpoint));
    this.#publish(checkpoint);
  }

  /** Only after the commit: a checkpoint that a crash could take back must not be seen. */
  #publish(checkpoint: StoredCheckpoint): void {
    this.#signed = checkpoint;
    this.#signedAtMs = this.options.clock.monotonicMs();
    this.options.observer.signed(checkpoint);
  }

  /** Whether a tree of `size` leaves is to be signed now: there is news, and it was asked for or the interval is over. */
  #signsNow(size: number): boolean {
    const signedSize = this.#signed?.size ?? 0;
    if (size <= signedSize) return false;
    const isDemanded = [...this.#demands].some(({ seq }) => seq > signedSize && seq <= size);
    return isDemanded || this.#intervalLeftMs() <= 0;
  }

  #waitMs(): number {
    const hasNews = this.#position > (this.#signed?.size ?? 0);
    if (hasNews) return this.#signsNow(this.#position) ? 0 : this.#intervalLeftMs();
    return Math.max(1, TAIL_CHECK_MS - this.#tailAgeMs());
  }

  #intervalLeftMs(): number {
    return this.#signedAtMs + this.options.checkpointIntervalMs - this.options.clock.monotonicMs();
  }

  #tailAgeMs(): number {
    return this.options.clock.monotonicMs() - this.#tailCheckedMs;
  }

  /** The log must still reach as far as it was read, and the session that holds the lock must still live. */
  async #checkTail(session: SqlSession): Promise<void> {
    await session.query('select 1');
    const lastSeq = await this.options.store.lastSeq();
    if (lastSeq < this.#position) throw new StreamWentBackError(lastSeq, this.#position);
    this.#tailCheckedMs = this.options.clock.monotonicMs();
  }
}

/** The first event read is the one at the position: its bytes must be those that were copied. */
async function assertSameEvent(
  queue: EventQueue,
  position: number,
  copied: Uint8Array,
  signal: AbortSignal,
): Promise<void> {
  let event: StoredEvent | undefined;
  while (event === undefined && !queue.isDrained && !signal.aborted) {
    [event] = await queue.take(1, BATCH_BYTES, Number.POSITIVE_INFINITY);
  }
  if (event === undefined) return;
  if (event.seq !== position || Buffer.compare(event.bytes, copied) !== 0) {
    throw new IntegrityError('copy-differs', `event ${position} of the log is not the event that was copied`);
  }
}
