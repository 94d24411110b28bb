export type { AttestationEvidence } from './attestation-evidence.js';
export type { EvidencePolicy } from './evidence-policy.js';
export type { Examination, ExaminationFacts, Verdict } from './examination.js';
export { type ExamineOptions, examineEvidence } from './examine-evidence.js';
export { keyProvider } from './judge-identity.js';
export { type OsImageFinding, type OsImageQuestion, type OsImageRule, osImageRule } from './os-image.js';
export { InvalidPolicyError, policyText, readPolicy } from './policy-text.js';
export { MAX_EVIDENCE_BYTES, readEvidence, readJsonEvidence } from './read-evidence.js';
