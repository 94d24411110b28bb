/** The collateral could not be had, or what came is malformed. `retryable` says whether asking again later can help. */
export class CollateralUnavailableError extends Error {
  readonly code = 'COLLATERAL_UNAVAILABLE';
  constructor(
    message: string,
    readonly retryable: boolean,
    options?: { cause?: unknown },
  ) {
    super(message, options);
    this.name = 'CollateralUnavailableError';
  }
}
