import type { Check } from '../check.js';
import type { TcbStatus } from './tcb-status.js';
import type { VerifiedQuote } from './verified-quote.js';

/** What verification established about a quote, as plain data: it survives the way between threads. */
export interface QuoteVerdict {
  /** Converged status of platform, TDX module and quoting enclave. */
  readonly status: TcbStatus;
  /** Ordered union: matched platform level, module level, QE level. */
  readonly advisoryIds: readonly string[];
  readonly platformStatus: TcbStatus;
  /** Null when the quote has no module level (SGX, or TDX module version 0). */
  readonly moduleStatus: TcbStatus | null;
  readonly qeStatus: TcbStatus;
  /** ISO 8601, as in the TCB info. */
  readonly tcbDate: string;
  readonly tcbEvaluationDataNumber: number;
  readonly tee: 'SGX' | 'TDX';
  /** Debug attribute of the TD or enclave. */
  readonly debug: boolean;
  /** 12 and 4 lower-case hex digits. */
  readonly fmspc: string;
  readonly pceId: string;
  /** SHA-256 of the DER root certificate the chains end in, lower-case hex. */
  readonly trustAnchor: string;
  /** Window in which every piece of collateral is valid; both ends belong to it. */
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** Every check of parsing and verification, in order. */
  readonly checks: readonly Check[];
}

/** The facts of a good quote; `verified` is what `appraise` takes. */
export interface VerifiedVerdict extends QuoteVerdict {
  readonly verified: VerifiedQuote;
}

export function toVerdict(verified: VerifiedQuote, checks: readonly Check[]): VerifiedVerdict {
  const { tcb, pck } = verified;
  return {
    status: tcb.status,
    advisoryIds: tcb.advisoryIds,
    platformStatus: tcb.platformStatus,
    moduleStatus: tcb.moduleStatus,
    qeStatus: tcb.qeStatus,
    tcbDate: tcb.tcbDate,
    tcbEvaluationDataNumber: tcb.evaluationDataNumber,
    tee: verified.quote.header.tee,
    debug: verified.debug,
    fmspc: pck.fmspc,
    pceId: pck.pceId,
    trustAnchor: verified.trustAnchor.fingerprint,
    notBefore: verified.notBefore,
    notAfter: verified.notAfter,
    checks,
    verified,
  };
}
