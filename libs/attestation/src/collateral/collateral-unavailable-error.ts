/** Why one endpoint gave no usable collateral. */
export type EndpointFailureCode =
  | 'UNREACHABLE'
  | 'TLS'
  | 'TIMEOUT'
  | 'HTTP_STATUS'
  | 'TRUNCATED'
  | 'TOO_LARGE'
  | 'MALFORMED'
  | 'NOT_AUTHENTIC'
  | 'OUT_OF_WINDOW'
  | 'ROLLBACK'
  | 'BACKING_OFF'
  | 'NOT_IN_BUNDLE';

export interface EndpointFailure {
  /** Origin and path of the endpoint, or `bundle`; never credentials. */
  readonly endpoint: string;
  readonly code: EndpointFailureCode;
  readonly message: string;
  /** Whether asking this endpoint again later can help. */
  readonly retryable: boolean;
}

/**
 * The collateral could not be had. `retryable` says whether asking again later can help; `endpoints` lists what went wrong
 * with each of them, in the order they were tried (empty when none was asked).
 */
export class CollateralUnavailableError extends Error {
  readonly code = 'COLLATERAL_UNAVAILABLE';
  constructor(
    message: string,
    readonly retryable: boolean,
    readonly endpoints: readonly EndpointFailure[] = [],
    options?: { cause?: unknown },
  ) {
    super(message, options);
    this.name = 'CollateralUnavailableError';
  }
}

/** The error for a platform that no endpoint served. */
export function unavailable(platform: string, endpoints: readonly EndpointFailure[]): CollateralUnavailableError {
  const list = endpoints.map(({ endpoint, code, message }) => `${endpoint}: ${code}: ${message}`).join('; ');
  const retryable = endpoints.some((failure) => failure.retryable);
  return new CollateralUnavailableError(
    `no collateral for ${platform}: ${list === '' ? 'no endpoint is configured' : list}`,
    retryable,
    endpoints,
  );
}

/** One endpoint failed: travels inside the collateral folder only, and becomes an `EndpointFailure`. */
export class EndpointFault extends Error {
  constructor(
    readonly code: EndpointFailureCode,
    message: string,
    readonly retryable: boolean,
    options?: { cause?: unknown },
  ) {
    super(message, options);
    this.name = 'EndpointFault';
  }
}
