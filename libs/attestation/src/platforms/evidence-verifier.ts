import type { Check, Refused } from '../check.js';

/** What every kind of evidence establishes once its signatures are good, in one shape. Whether it is enough is policy. */
export interface EvidenceFacts {
  /** Kind of the evidence, as in `Evidence.kind`. */
  readonly kind: string;
  /** Bytes the guest chose to have signed: 64 on TDX, SGX and SEV-SNP, other sizes elsewhere. */
  readonly reportData: Uint8Array;
  /** Measurements by the platform's own names, for example mrTd, rtMr3, measurement, hostData, pcr14. */
  readonly measurements: Readonly<Record<string, Uint8Array>>;
  /** The platform's patch status; null for platforms that state none (never a made-up `UpToDate`). */
  readonly tcb: { readonly status: string; readonly advisoryIds: readonly string[] } | null;
  /** The owner of the host may read the guest. */
  readonly debug: boolean;
  /** Stable id of the machine, 32 bytes: SHA-256 of what the platform names it by. Null when it names none. */
  readonly deviceId: Uint8Array | null;
  readonly trustAnchor: { readonly name: string; readonly fingerprint: string };
  /** Time the verdict is for, and the window in which every piece of collateral is valid (both ends belong to it). */
  readonly verifiedAt: Date;
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/** Evidence whose signatures are good. The policy of the platform decides; it cannot be asked before. */
export interface VerifiedEvidence<Policy> {
  readonly facts: EvidenceFacts;
  appraise(policy: Policy): AppraiseEvidenceResult;
}

export type VerifyEvidenceResult<Policy> =
  | { readonly ok: true; readonly verified: VerifiedEvidence<Policy>; readonly checks: readonly Check[] }
  | Refused;

export type AppraiseEvidenceResult =
  | {
      readonly ok: true;
      readonly facts: EvidenceFacts;
      /** Names of the weakenings of the policy in force, sorted. */
      readonly unsafe: readonly string[];
      readonly checks: readonly Check[];
    }
  | Refused;

/**
 * Verifies one kind of evidence. A new platform (a Nitro document, a TPM quote) is a new implementation: its evidence type
 * carries the bytes and collateral it needs, its policy type its own rules, and this interface stays as it is. Bad input
 * is a refusal, never an exception; nothing here reads a clock or a network.
 */
export interface EvidenceVerifier<Evidence, Policy> {
  /** @param now Evaluation time. */
  verify(evidence: Evidence, now: Date): VerifyEvidenceResult<Policy>;
}
