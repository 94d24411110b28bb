import type { Check, Refused } from '../check.js';
import type { EndorsementKey } from './endorsement-key.js';
import type { ParsedSnpReport } from './parsed-report.js';
import type { SnpProduct } from './product.js';
import type { SnpTcbVersion } from './tcb-version.js';
import type { SnpTrustAnchor } from './trust-anchor.js';

/**
 * `UpToDate` when the current, reported, committed and launch levels of the report agree, else `OutOfDate`: dstack's
 * meaning (dstack-kms §13). It compares the platform with itself only: an old firmware whose four levels agree is
 * `UpToDate`, so that a policy also needs a minimum.
 */
export type SnpTcbStatus = 'UpToDate' | 'OutOfDate';

export interface SnpTcbFacts {
  readonly status: SnpTcbStatus;
  readonly current: SnpTcbVersion;
  /** The levels the endorsement key stands for. */
  readonly reported: SnpTcbVersion;
  readonly committed: SnpTcbVersion;
  readonly launch: SnpTcbVersion;
}

declare const verified: unique symbol;

/** Facts about a report with a good signature. Whether they are good enough is `appraiseSnp`'s question. */
export interface VerifiedSnpReport {
  readonly [verified]: true;
  readonly report: ParsedSnpReport;
  readonly product: SnpProduct;
  readonly endorsement: EndorsementKey;
  readonly tcb: SnpTcbFacts;
  readonly debug: boolean;
  /** False when no CRL was given. */
  readonly revocationChecked: boolean;
  readonly trustAnchor: SnpTrustAnchor;
  /** Time the verdict is for, and the window in which certificates and CRL are valid (both ends belong to it). */
  readonly verifiedAt: Date;
  readonly notBefore: Date;
  readonly notAfter: Date;
}

export interface SnpCollateral {
  /** Entries of an evidence's certificate chain or of the key distribution service: DER, PEM or a certificate table. */
  readonly certificates: readonly Uint8Array[];
  /** CRL of the root (DER); without it revocation is reported as skipped. */
  readonly revocationList?: Uint8Array;
}

export interface SnpVerifyOptions {
  /** Evaluation time: strict, both bounds of every window are checked. */
  readonly now: Date;
  /** Roots to trust; default: AMD's. Any other root is refused again by `appraiseSnp` unless named unsafe there. */
  readonly trustAnchors?: readonly SnpTrustAnchor[];
}

export type VerifySnpResult =
  | { readonly ok: true; readonly report: VerifiedSnpReport; readonly checks: readonly Check[] }
  | Refused;
