import type { Check, EventData } from '@vouch/domain';
import type { AppraisedFacts, UsedCollateral } from '../evidence/appraised-facts.js';

/** Policy read that decided, as the events carry it. */
export type PolicyRead = NonNullable<EventData<'grant.denied'>['policy']>;

interface Decided {
  /** Every check in order: pass, fail or skipped. */
  readonly checks: Check[];
  readonly collateral: UsedCollateral | null;
  /** Measured compose hash; null when the event log was not believed. */
  readonly composeHash: string | null;
  readonly policy: PolicyRead | null;
  readonly unsafe: readonly string[];
}

export interface DeniedVerdict extends Decided {
  readonly outcome: 'denied';
  readonly failedCheck: string;
  readonly reason: string;
}

export interface IssuedVerdict extends Decided {
  readonly outcome: 'issued';
  readonly collateral: UsedCollateral;
  readonly composeHash: string;
  readonly policy: PolicyRead;
  readonly facts: AppraisedFacts;
  readonly appId: string;
  /** IPv4 address of the placement. */
  readonly address: string;
  readonly ports: readonly number[];
  /** 40 hex digits, or empty. */
  readonly gatewayAppId: string;
  /** Key epoch of the granted keys, and earlier ones whose keys come along for re-keying, ascending. */
  readonly keyEpoch: number;
  readonly earlierKeyEpochs: readonly number[];
}

export type GrantVerdict = IssuedVerdict | DeniedVerdict;
