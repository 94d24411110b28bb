/** Why there is no receipt. `receipt-not-ready` may come later; the others will not. */
export class ReceiptError extends Error {
  constructor(
    readonly code:
      | 'receipt-request-invalid'
      | 'receipt-not-ready'
      | 'receipt-unprovable'
      | 'checkpoint-unknown'
      | 'tile-unknown',
    message: string,
    readonly retryable: boolean,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'ReceiptError';
  }
}
