import { APPRAISE_CHECKS, type EventLogIdentity, type QuoteCollateralV3, VERIFY_CHECKS } from '@vouch/attestation';
import type { Check } from '@vouch/domain';

/** Checks of the evidence itself, in the order they run; those of a decision follow. */
export const EVIDENCE_CHECKS: readonly string[] = [
  'quote.format',
  'collateral.available',
  ...VERIFY_CHECKS,
  ...APPRAISE_CHECKS,
  'event-log.replay',
  'event-log.identity',
  'os-image.measurement',
];

/** Collateral as it is recorded: `digest` is SHA-256 of its canonical JSON, hex. */
export interface UsedCollateral {
  readonly digest: string;
  /** 6 bytes hex. */
  readonly fmspc: string;
  readonly collateral: QuoteCollateralV3;
}

/** What is known of a guest whose evidence passed every check; hex is lower-case. */
export interface AppraisedFacts {
  readonly identity: EventLogIdentity;
  /** 64 bytes. */
  readonly reportData: Uint8Array;
  readonly osImageHash: string;
  readonly mrAggregated: string;
  readonly mrSystem: string;
  readonly deviceId: string;
  readonly tcbStatus: string;
  readonly advisoryIds: readonly string[];
  /** Names of the weakenings this evidence relied on. */
  readonly unsafe: readonly string[];
}

/** Outcome of looking at the evidence alone. `checks` holds those that ran or were skipped for a reason of their own. */
export type EvidenceOutcome =
  | {
      readonly ok: true;
      readonly facts: AppraisedFacts;
      readonly checks: readonly Check[];
      readonly collateral: UsedCollateral;
    }
  | { readonly ok: false; readonly checks: readonly Check[]; readonly collateral: UsedCollateral | null };
