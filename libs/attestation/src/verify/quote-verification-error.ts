import type { Check, Refused } from '../check.js';
import type { TcbStatus } from './tcb-status.js';

/** Evidence was refused by `verifyQuote`. Asking again with the same input cannot help. */
export class QuoteVerificationError extends Error {
  /** Stable, upper snake case, for example `QUOTE_TRUNCATED`, `UNTRUSTED_ROOT`, `TCB_NOT_SUPPORTED`. */
  readonly code: string;
  readonly retryable = false;
  /** The check that failed. */
  readonly failed: Check;
  /** Every check up to the end of the stage that failed; what did not run is `skipped`. */
  readonly checks: readonly Check[];

  constructor(
    refused: Refused,
    /** Set when the refusal is about a known level (`Revoked`). */
    readonly tcbStatus: TcbStatus | null,
    /** Byte offset in the quote for format errors, else null. */
    readonly offset: number | null,
  ) {
    super(`${refused.failed.name}: ${refused.failed.detail}`);
    this.name = 'QuoteVerificationError';
    this.code = refused.code;
    this.failed = refused.failed;
    this.checks = refused.checks;
  }
}
