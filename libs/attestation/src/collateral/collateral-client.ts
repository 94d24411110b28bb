import type { ParsedQuote } from '../abi/parsed-quote.js';
import type { QuoteCollateralV3 } from './quote-collateral.js';

/** The collateral could not be had. `retryable` says whether asking again later can help. */
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

export interface CollateralClientOptions {
  /** PCCS base, for example `https://localhost:8081`; the v4 paths are appended. */
  readonly baseUrl: string;
  readonly now: () => Date;
  /** Default 10 000. */
  readonly timeoutMs?: number;
  /** How long an answer is reused while its windows hold; default 3 600 000. */
  readonly maxAgeMs?: number;
  readonly fetch?: typeof globalThis.fetch;
}

export class CollateralClient {
  constructor(_options: CollateralClientOptions) {
    throw new Error('not implemented');
  }
  collateralFor(_quote: ParsedQuote): Promise<QuoteCollateralV3> {
    throw new Error('not implemented');
  }
  /** Forgets what is cached for the platform of this quote: call it when verification refuses the collateral. */
  forget(_quote: ParsedQuote): void {}
}
