export type TransparencyErrorCode =
  | 'checkpoint-malformed'
  | 'checkpoint-origin-mismatch'
  | 'checkpoint-signature-missing'
  | 'checkpoint-signature-invalid'
  | 'proof-malformed'
  | 'proof-root-mismatch'
  | 'receipt-malformed'
  | 'cosignature-invalid'
  | 'cosignature-missing'
  | 'history-rewritten'
  | 'log-went-back'
  | 'tile-malformed'
  | 'tree-range-invalid';

/** A checkpoint, proof or receipt that is refused. `retryable` is always false: the same bytes stay refused. */
export class TransparencyError extends Error {
  readonly retryable = false;
  constructor(
    readonly code: TransparencyErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'TransparencyError';
  }
}
