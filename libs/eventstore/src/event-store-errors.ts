/** The store could not settle the request in time. The same request may be repeated: appends are idempotent by event id. */
export class EventStoreUnavailableError extends Error {
  readonly code = 'event-store-unavailable';
  readonly retryable = true;
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'EventStoreUnavailableError';
  }
}

/** The bus refuses this user a subject that the request needs. Its permissions, not the request, must change. */
export class EventStoreForbiddenError extends Error {
  readonly code = 'event-store-forbidden';
  readonly retryable = false;
  constructor(
    readonly subject: string,
    options?: ErrorOptions,
  ) {
    super(`the bus refuses this user the subject ${subject}`, options);
    this.name = 'EventStoreForbiddenError';
  }
}

/**
 * An unfiltered read met another position than the next one: events are missing or the log was damaged. On a stream
 * that never deletes this cannot happen in health. Stop, alarm, repair from the copy; never skip.
 */
export class SequenceGapError extends Error {
  readonly code = 'sequence-gap';
  readonly retryable = false;
  constructor(
    readonly expectedSeq: number,
    readonly gotSeq: number,
  ) {
    super(`the log jumps: expected position ${expectedSeq}, got ${gotSeq}`);
    this.name = 'SequenceGapError';
  }
}

/** The log ends before a position that a reader has already seen: it was cut or replaced. Stop; never continue. */
export class StreamWentBackError extends Error {
  readonly code = 'stream-went-back';
  readonly retryable = false;
  constructor(
    readonly lastSeq: number,
    readonly knownSeq: number,
  ) {
    super(`the log went back in time: it ends at ${lastSeq}, but position ${knownSeq} is already known`);
    this.name = 'StreamWentBackError';
  }
}
