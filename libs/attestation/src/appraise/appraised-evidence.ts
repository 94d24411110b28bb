import type { Check, Refused } from '../check.js';
import type { VerifiedQuote } from '../verify/verified-quote.js';

declare const appraised: unique symbol;

/** A verified quote that the policy accepts. */
export interface AppraisedEvidence {
  readonly [appraised]: true;
  readonly verified: VerifiedQuote;
  /** SHA-256 of the PPID, 32 bytes: dstack's device id. */
  readonly deviceId: Uint8Array;
  /** Names of the weakenings of the policy in force, sorted. */
  readonly unsafe: readonly string[];
}

export type AppraiseResult =
  | { readonly ok: true; readonly evidence: AppraisedEvidence; readonly checks: readonly Check[] }
  | Refused;
