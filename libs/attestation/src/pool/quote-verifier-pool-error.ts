/** Why the pool itself, not the evidence, could not answer. */
export type PoolFailure =
  /** More quotes wait than `queueMax` allows: ask again later. */
  | 'POOL_FULL'
  /** `close` was called. */
  | 'POOL_CLOSED'
  /** The thread at work on this quote ended; another one takes its place. */
  | 'POOL_THREAD_DIED';

/** The pool could not answer; nothing is known about the quote. */
export class QuoteVerifierPoolError extends Error {
  readonly retryable: boolean;

  constructor(
    readonly code: PoolFailure,
    message: string,
    options?: { cause?: unknown },
  ) {
    super(message, options);
    this.name = 'QuoteVerifierPoolError';
    this.retryable = code !== 'POOL_CLOSED';
  }
}
