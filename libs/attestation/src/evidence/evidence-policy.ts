import type { AppraisalPolicy } from '../appraise/policy.js';

/**
 * What evidence as a whole must satisfy: the quote's policy, and what the guest measured about itself. The empty policy is
 * the strictest; lists only add requirements (lower-case hex), and what weakens is named `unsafe…`.
 */
export interface EvidencePolicy extends AppraisalPolicy {
  readonly appIds?: readonly string[];
  readonly composeHashes?: readonly string[];
  readonly instanceIds?: readonly string[];
  readonly osImageHashes?: readonly string[];
  /** SHA-256 of the PPID: which machines. */
  readonly deviceIds?: readonly string[];
  /** Ids of the key provider (for a KMS: its root's SubjectPublicKeyInfo). */
  readonly keyProviderIds?: readonly string[];
  /** Accept guests that are processes of their host, on simulated TDX (development). */
  readonly unsafeProcessGuestAccepted?: true;
}
