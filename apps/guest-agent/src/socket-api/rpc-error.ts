/** A refusal a client of the socket sees as HTTP 400 with `{"error": message}` (dstack-guest §2). */
export class RpcError extends Error {
  readonly code = 'rpc-refused';
  readonly retryable = false;
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'RpcError';
  }
}
