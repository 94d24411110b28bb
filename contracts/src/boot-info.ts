/**
 * What a policy judges, by the names and encodings of dstack's authorisation servers (dstack-kms §15). Hex is lower-case,
 * without 0x, and of full length: nothing here is ever padded.
 */
export interface BootInfo {
  /** TEE and form of the evidence, e.g. `dstack-tdx` (dstack-kms §10.2). Contracts do not see it. */
  readonly teeVariant: string;
  /** 20 bytes. */
  readonly appId: string;
  /** 32 bytes. */
  readonly composeHash: string;
  /** 20 bytes, or empty: a contract then sees the zero address. */
  readonly instanceId: string;
  /** 32 bytes. */
  readonly deviceId: string;
  /** 32 bytes. */
  readonly mrAggregated: string;
  /** 32 bytes. */
  readonly mrSystem: string;
  /** 32 bytes. */
  readonly osImageHash: string;
  /** Bytes of the key provider's JSON as the event log has them, hex; empty when there is none. Contracts do not see it. */
  readonly keyProviderInfo: string;
  /** Intel's name, e.g. `UpToDate`. */
  readonly tcbStatus: string;
  readonly advisoryIds: readonly string[];
}

/** Who asks to boot: an app's instance, or another key server (dstack's `bootAuth/app` and `bootAuth/kms`). */
export type BootKind = 'app' | 'kms';

/** A policy's word, whatever the policy is kept in. */
export interface BootDecision {
  readonly isAllowed: boolean;
  /** Why not; empty when allowed. */
  readonly reason: string;
  /** App id of the gateway, as the policy's owner wrote it: 40 hex digits with or without 0x, `any`, or empty. */
  readonly gatewayAppId: string;
}
