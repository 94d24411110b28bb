/** An answer of the wire that is an error: HTTP 400 with this text. `retryable` is for our own logs; the wire has no such field. */
export class PrpcError extends Error {
  readonly code = 'prpc-refused';
  constructor(
    message: string,
    readonly retryable = false,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'PrpcError';
  }
}
