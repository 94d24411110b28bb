import type { TrustAnchor } from '../verify/trust-anchor.js';
import type { CollateralBundle } from './collateral-bundle.js';
import type { CollateralEndpoint, TcbUpdate } from './collateral-endpoint.js';
import type { EndpointFailure } from './collateral-unavailable-error.js';
import type { FetchDocument } from './fetch-document.js';

export interface CollateralClientOptions {
  /** Asked in this order; the next one when one fails. */
  readonly endpoints: readonly CollateralEndpoint[];
  readonly now: () => Date;
  /** Roots that collateral must lead to before it is kept; default: Intel's alone, as in `verifyQuote`. */
  readonly trustAnchors?: readonly TrustAnchor[];
  /** Per endpoint and document; default 10 000. */
  readonly timeoutMs?: number;
  /** How old an answer may be before the endpoints are asked again; default 3 600 000 (1 h). */
  readonly maxAgeMs?: number;
  /** How old it may be and still be used while no endpoint answers, inside its windows; default 604 800 000 (7 days). */
  readonly maxStaleMs?: number;
  /** From how long before the end of its windows an answer is renewed in the background; default 86 400 000 (1 day). */
  readonly refreshAheadMs?: number;
  /** Folder that keeps answers over restarts. Its files are verified when they are read. */
  readonly cacheFolder?: string;
  /** Used when no endpoint gives anything, or there is none. */
  readonly bundle?: CollateralBundle;
  readonly update?: TcbUpdate;
  /** Milliseconds of a clock that never goes back; default `performance.now`. Only back-off uses it. */
  readonly monotonicMs?: () => number;
  readonly fetchDocument?: FetchDocument;
}

/** What a client knows, for health pages. */
export interface CollateralClientStatus {
  readonly endpoints: readonly {
    readonly endpoint: string;
    readonly failuresInARow: number;
    readonly lastFailure: EndpointFailure | null;
    readonly waitMs: number;
  }[];
  readonly platforms: readonly {
    readonly platform: string;
    readonly tcbInfoNumber: number;
    readonly fetchedAt: Date;
    readonly notAfter: Date;
  }[];
  /** Why the last write or read of the cache folder failed; null when it did not. */
  readonly cacheProblem: string | null;
}
