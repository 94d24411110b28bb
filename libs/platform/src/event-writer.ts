import { randomUUID } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { type AuthoredEvent, authorEvent, type EventAuthor, type EventData, type EventType } from '@vouch/domain';
import { type EventStore, EventStoreUnavailableError } from '@vouch/eventstore';
import { backOffMs, pause, saysRetryable } from './back-off.js';
import type { Clock } from './clock.js';
import { Metrics } from './health/metrics.js';
import { CLOCK, EVENT_AUTHOR, EVENT_STORE } from './tokens.js';

const FIRST_RETRY_MS = 50;
const RETRY_LIMIT_MS = 2000;
const DEADLINE_MS = 30_000;

export interface WriteOptions {
  /** Who asked for it: a principal, or "host-worker/host-1". */
  readonly actor: string;
  /** Id of the event or command this follows from; empty or absent when there is none. */
  readonly cause?: string;
  /** Operation id; empty or absent outside an operation. */
  readonly corr?: string;
  /** Event id, for work that may be repeated (see deterministicEventId); absent: a random one. */
  readonly id?: string;
  /**
   * Position the subject's last event must have (0: none), for decisions made on a state that was read. Absent: append
   * after whatever is there; with an `id` given, unless the subject already holds that id.
   */
  readonly expected?: number;
  /** How long an unavailable store is asked again, in milliseconds. Default 30,000. */
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
}

export type WriteOutcome =
  | { readonly ok: true; readonly id: string; readonly seq: number; readonly duplicate: boolean }
  | { readonly ok: false; readonly code: 'conflict'; readonly lastSeq: number };

/** Writes this service's events: signs once, appends, and repeats the same bytes while the store is unavailable. */
@Injectable()
export class EventWriter {
  constructor(
    @Inject(EVENT_STORE) private readonly store: EventStore,
    @Inject(EVENT_AUTHOR) private readonly author: EventAuthor | null,
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly metrics: Metrics,
  ) {}

  /**
   * Resolves when the event is durably in the log (or was there already). Throws EventStoreUnavailableError after the
   * deadline, then the event may or may not be stored; EventRejectedError when the data breaks the type's schema.
   */
  async write<T extends EventType>(type: T, data: EventData<T>, options: WriteOptions): Promise<WriteOutcome> {
    if (this.author === null) throw new TypeError(`this service writes no events, but was asked to write ${type}`);
    const event = authorEvent(this.author, {
      id: options.id ?? randomUUID(),
      type,
      data,
      time: this.clock.now(),
      actor: options.actor,
      cause: options.cause ?? '',
      corr: options.corr ?? '',
    }) as AuthoredEvent;
    const startedAt = this.clock.monotonicMs();
    try {
      const outcome = await this.#appendWithin(event, options, startedAt + (options.deadlineMs ?? DEADLINE_MS));
      this.metrics.eventsWritten.inc({ type, outcome: labelOf(outcome) });
      return outcome;
    } catch (error) {
      this.metrics.eventsWritten.inc({ type, outcome: 'failed' });
      throw error;
    } finally {
      this.metrics.appendSeconds.observe((this.clock.monotonicMs() - startedAt) / 1000);
    }
  }

  async #appendWithin(event: AuthoredEvent, options: WriteOptions, deadline: number): Promise<WriteOutcome> {
    // From the second try on, an earlier try may have stored the event with others after it: look at the whole subject.
    let mayBeStored = options.id !== undefined;
    for (let attempt = 1; ; attempt += 1) {
      try {
        const outcome = await this.#appendOnce(event, options.expected, mayBeStored);
        if (outcome.ok || options.expected !== undefined) return outcome;
      } catch (error) {
        if (saysRetryable(error) !== true) throw error;
        mayBeStored = true;
        if (this.clock.monotonicMs() >= deadline || options.signal?.aborted) throw error;
        await pause(backOffMs(attempt, FIRST_RETRY_MS, RETRY_LIMIT_MS), options.signal);
        continue;
      }
      if (this.clock.monotonicMs() >= deadline) {
        throw new EventStoreUnavailableError(`${event.envelope.subject}: other writers were always faster`);
      }
    }
  }

  async #appendOnce(event: AuthoredEvent, expected: number | undefined, mayBeStored: boolean): Promise<WriteOutcome> {
    const { id, subject } = event.envelope;
    let after = expected;
    if (after === undefined) {
      const stored = mayBeStored ? await this.store.readSubject(subject) : [await this.store.lastOf(subject)];
      const same = stored.find((candidate) => candidate?.envelope.id === id);
      if (same !== undefined) return { ok: true, id, seq: same.seq, duplicate: true };
      after = stored.at(-1)?.seq ?? 0;
    }
    const outcome = await this.store.append(event, after);
    return outcome.ok ? { ...outcome, id } : outcome;
  }
}

function labelOf(outcome: WriteOutcome): string {
  if (!outcome.ok) return 'conflict';
  return outcome.duplicate ? 'duplicate' : 'stored';
}
