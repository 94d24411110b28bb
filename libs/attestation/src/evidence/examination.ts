import type { ParsedQuote } from '../abi/parsed-quote.js';
import type { Check } from '../check.js';
import type { QuoteCollateralV3 } from '../collateral/quote-collateral.js';
import type { BoundEventLog, EventLogIdentity } from '../event-log/tdx-event.js';
import type { TcbStatus } from '../verify/tcb-status.js';
import type { VerifiedQuote } from '../verify/verified-quote.js';
import type { AttestationEvidence } from './attestation-evidence.js';
import type { EvidencePolicy } from './evidence-policy.js';
import type { OsImageFinding } from './os-image.js';

/**
 * `accepted`: every check passed or had no meaning here. `denied`: genuine, but the policy refuses it. `refused`: bad
 * evidence, whatever the policy says.
 */
export type Verdict = 'accepted' | 'denied' | 'refused';

export interface Examination {
  readonly verdict: Verdict;
  /** Every check by name, each once: pass, fail, or skipped with the reason. */
  readonly checks: readonly Check[];
  /** The check that decided: the first that failed as bad evidence, else the first the policy failed; null when none. */
  readonly failed: Check | null;
  /** Stable code of the refusal, `POLICY_…` when the policy denied it; null when accepted. */
  readonly code: string | null;
  readonly facts: ExaminationFacts;
}

/** What was established on the way; null where a check failed before. */
export interface ExaminationFacts {
  readonly evidence: AttestationEvidence;
  readonly quote: ParsedQuote | null;
  readonly collateral: QuoteCollateralV3 | null;
  readonly verified: VerifiedQuote | null;
  /** Set also when the TCB level itself refused the quote (`Revoked`). */
  readonly tcbStatus: TcbStatus | null;
  readonly log: BoundEventLog | null;
  readonly identity: EventLogIdentity | null;
  readonly osImage: OsImageFinding | null;
  /** The policy that decided. */
  readonly policy: EvidencePolicy;
  /** Names of the weakenings the policy has, sorted. */
  readonly unsafe: readonly string[];
  readonly examinedAt: Date;
}
