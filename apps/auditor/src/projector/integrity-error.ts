export type IntegrityErrorCode =
  | 'position-moved'
  | 'copy-differs'
  | 'copy-incomplete'
  | 'tree-differs'
  | 'checkpoint-went-back'
  | 'event-id-duplicate';

/** The copy, the tree or the position is not what it must be. Never retried, never skipped: a person must look. */
export class IntegrityError extends Error {
  readonly retryable = false;
  constructor(
    readonly code: IntegrityErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'IntegrityError';
  }
}
