/**
 * One interface over every kind of evidence: facts first, policy second, all checks listed. Platforms are added beside
 * `dcapEvidenceVerifier` and `snpEvidenceVerifier` without a change to what is here.
 */
export { type DcapEvidence, type DcapPolicy, dcapEvidenceVerifier } from './dcap-evidence.js';
export type {
  AppraiseEvidenceResult,
  EvidenceFacts,
  EvidenceVerifier,
  VerifiedEvidence,
  VerifyEvidenceResult,
} from './evidence-verifier.js';
export { type SnpEvidence, snpEvidenceVerifier } from './snp-evidence.js';
export {
  type Evidence,
  type EvidenceKinds,
  type EvidencePolicies,
  type EvidenceVerifiers,
  verifyEvidence,
} from './verify-evidence.js';
