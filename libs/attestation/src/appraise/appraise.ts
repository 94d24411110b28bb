import type { VerifiedQuote } from '../verify/verified-quote.js';
import type { AppraiseResult } from './appraised-evidence.js';
import type { AppraisalPolicy } from './policy.js';

/** Names of the checks `appraise` reports, in order. Those without a meaning for the quote's TEE are skipped, and say so. */
export const APPRAISE_CHECKS = [
  'policy.trust-anchor',
  'policy.tee',
  'policy.tcb-status',
  'policy.advisories',
  'policy.tcb-evaluation-number',
  'policy.tcb-date',
  'policy.debug',
  'policy.td-attributes',
  'policy.sept-ve-disable',
  'policy.service-td',
  'policy.references',
  'policy.report-data',
] as const;

/** Decides about a verified quote; an empty policy is the strictest. */
export function appraise(_verified: VerifiedQuote, _policy: AppraisalPolicy): AppraiseResult {
  throw new Error('not implemented');
}

/** Names of the weakenings of a policy, as events record them. */
export function unsafeNames(_policy: AppraisalPolicy): readonly string[] {
  throw new Error('not implemented');
}
