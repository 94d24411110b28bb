import type { ParsedQuote } from '../abi/parsed-quote.js';
import type { Check, Refused } from '../check.js';
import type { PckExtension } from '../x509/pck-extension.js';
import type { TcbStatus } from './tcb-status.js';
import type { TrustAnchor } from './trust-anchor.js';

export interface TcbFacts {
  /** Converged status of platform, TDX module and quoting enclave. */
  readonly status: TcbStatus;
  /** Ordered union: matched platform level, module level, QE level. */
  readonly advisoryIds: readonly string[];
  /** Date of the matched platform level, exactly as in the TCB info (ISO 8601). */
  readonly tcbDate: string;
  /** The lower of the TCB info's and the QE identity's number. */
  readonly evaluationDataNumber: number;
  readonly platformStatus: TcbStatus;
  /** Null when the quote has no module level (SGX, or TDX module version 0). */
  readonly moduleStatus: TcbStatus | null;
  readonly qeStatus: TcbStatus;
}

declare const verified: unique symbol;

/** Facts about a quote with good signatures. Whether they are good enough is `appraise`'s question. */
export interface VerifiedQuote {
  readonly [verified]: true;
  readonly quote: ParsedQuote;
  readonly tcb: TcbFacts;
  readonly pck: PckExtension;
  readonly pckCa: 'platform' | 'processor';
  /** Debug attribute of the TD or enclave. */
  readonly debug: boolean;
  /** The anchor the chains end in. */
  readonly trustAnchor: TrustAnchor;
  /** Time the verdict is for, and the window in which every piece of collateral is valid (both ends belong to it). */
  readonly verifiedAt: Date;
  readonly notBefore: Date;
  readonly notAfter: Date;
}

export interface VerifyOptions {
  /** Evaluation time: strict, both bounds of every window are checked. */
  readonly now: Date;
  /** Roots to trust; default: the pinned Intel SGX Root CA only. Any other root is refused again by `appraise` unless named unsafe there. */
  readonly trustAnchors?: readonly TrustAnchor[];
}

export type VerifyResult =
  | { readonly ok: true; readonly quote: VerifiedQuote; readonly checks: readonly Check[] }
  | (Refused & {
      /** Set when the refusal is about a known level (`Revoked`). */
      readonly tcbStatus: TcbStatus | null;
    });
