import type { BootInfo } from '@vouch/contracts';
import type { Evidence } from '@vouch/domain';
import type { ChallengePlace, ChallengeUse } from '../challenge/challenge-book.js';
import type { EvidenceOutcome } from '../evidence/appraised-facts.js';
import type { PlacementView } from '../placement/placement-view.js';
import type { PolicyDecision } from '../policy/policy-source.js';
import type { KeyEpochs } from '../root/key-epochs.js';

/**
 * What a decision asks of the world. Each method throws an error with `retryable: true` when its source is away: then
 * there is no decision yet. Everything else is a value.
 */
export interface DecisionPorts {
  appraise(evidence: Evidence): Promise<EvidenceOutcome>;
  /** Uses the challenge up for this request; the same request may do so again after a crash. */
  useChallenge(challenge: string, place: ChallengePlace, requestId: string): Promise<ChallengeUse>;
  /** The instance and its release as the log has them now. */
  placement(instanceId: string): Promise<PlacementView>;
  /** The policy's word at one epoch of it. */
  policy(bootInfo: BootInfo): Promise<PolicyDecision>;
  /** Every key epoch as the log has it now. */
  keyEpochs(): Promise<KeyEpochs>;
  now(): Date;
}

export interface DecisionSettings {
  /** Oldest policy that decides, in seconds; null: no limit. */
  readonly policyMaxAgeSeconds: number | null;
  /** Weakenings in force whatever the evidence, each starting with "unsafe". */
  readonly unsafe: readonly string[];
}
