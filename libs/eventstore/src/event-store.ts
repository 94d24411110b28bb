import type { AuthoredEvent, EventEnvelope, EventType } from '@vouch/domain';

/** One event as it lies in the log: stream position, subject, the broker's storage time, envelope and exact stored bytes. */
export type StoredEvent<T extends EventType = EventType> = T extends EventType
  ? {
      /** Position in the whole log, 1 for the first event, without holes. */
      readonly seq: number;
      readonly subject: string;
      /** When the store took the event; the author's own time is `envelope.time`. */
      readonly storedAt: Date;
      readonly envelope: EventEnvelope<T>;
      readonly bytes: Uint8Array;
    }
  : never;

/** What became of an append. `duplicate` is true when this very event (same id) was already stored. */
export type AppendOutcome =
  | { readonly ok: true; readonly seq: number; readonly duplicate: boolean }
  | { readonly ok: false; readonly code: 'conflict'; readonly lastSeq: number };

export interface ReadOptions {
  /** First position to deliver, 1 or more; `lastSeq() + 1` means "only what comes". */
  readonly fromSeq: number;
  /** Subject filters (`*` one token, `>` the rest); absent or empty means every event, with the gap check. */
  readonly filters?: readonly string[];
  /** True keeps waiting for new events; false ends at the last event that was stored when the read began. */
  readonly follow: boolean;
  /** Aborting ends the iteration quietly, after the event in hand. */
  readonly signal?: AbortSignal;
}

/**
 * The log. Every store keeps the same promises, checked by one contract suite (see `contract.ts` in the test kit):
 * an acknowledged event is stored once; no subject takes two events for one expected position; every event a reader
 * gets was signed by the one service that may write it.
 */
export interface EventStore {
  /**
   * Appends when the subject's last event has position `expectedLastSeq` (0: the subject must be empty).
   * The number is a position in the whole log, not a count per subject.
   * A conflict is a value. Throws EventStoreUnavailableError when the outcome could not be settled in time (the event may
   * or may not be stored: append the same event again), EventRejectedError when the event's author or form is not allowed.
   */
  append(event: AuthoredEvent, expectedLastSeq: number): Promise<AppendOutcome>;
  /** All events of one subject in order, current at the leader, authors verified. Empty when there are none. */
  readSubject(subject: string): Promise<StoredEvent[]>;
  /** The subject's last event, current at the leader, author verified. */
  lastOf(subject: string): Promise<StoredEvent | undefined>;
  /** Position of the last event in the log; 0 when the log is empty. */
  lastSeq(): Promise<number>;
  /**
   * Reads in order, without loss or duplicates across reconnects. Pulls only as fast as the caller iterates.
   * Throws SequenceGapError (unfiltered reads), StreamWentBackError and EventRejectedError: a reader that meets one
   * of these must stop, not skip.
   */
  read(options: ReadOptions): AsyncIterable<StoredEvent>;
}
