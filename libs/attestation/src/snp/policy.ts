import type { PlatformInfo } from './platform-info.js';
import type { SnpProduct } from './product.js';
import type { SnpTcbVersion } from './tcb-version.js';
import type { SnpTcbStatus } from './verified-report.js';

/** Reference values: when a list is given, the report's value must be in it. Bytes as in the report. */
export interface SnpReferenceValues {
  readonly measurement?: readonly Uint8Array[];
  readonly hostData?: readonly Uint8Array[];
  readonly familyId?: readonly Uint8Array[];
  readonly imageId?: readonly Uint8Array[];
  readonly idKeyDigest?: readonly Uint8Array[];
  readonly authorKeyDigest?: readonly Uint8Array[];
  /** 64 bytes each; a report signed with a VLEK may have it masked. */
  readonly chipId?: readonly Uint8Array[];
}

/** Platform states a policy may ask for. */
export type SnpPlatformState = Exclude<keyof PlatformInfo, 'raw' | 'reserved' | 'smtEnabled'>;

/**
 * What a verified report must satisfy. The empty policy is the strictest one: it even refuses for want of minimum patch
 * levels, since the report's own status compares the platform with itself only. Fields without the prefix only add
 * requirements; every field that weakens is named `unsafe…`, so that it shows in the events it influenced.
 */
export interface SnpAppraisalPolicy {
  /** Lowest accepted patch levels of each product line; a line that is not named is refused. */
  readonly minimumTcb?: Readonly<Partial<Record<SnpProduct, SnpTcbVersion>>>;
  readonly minimumGuestSvn?: number;
  /** 64 bytes the report data must equal. */
  readonly reportData?: Uint8Array;
  /** 32 bytes the host data must equal (`snpHostData`). */
  readonly hostData?: Uint8Array;
  readonly references?: SnpReferenceValues;
  /** `forbidden`: the guest policy must forbid simultaneous multithreading. */
  readonly smt?: 'forbidden';
  readonly requiredPlatformStates?: readonly SnpPlatformState[];
  /** Statuses accepted besides UpToDate. */
  readonly unsafeAcceptedStatuses?: readonly SnpTcbStatus[];
  /** No minimum patch levels are asked for. */
  readonly unsafeMinimumTcbNotRequired?: true;
  /** The guest policy allows the host to read the guest. */
  readonly unsafeDebugAccepted?: true;
  /** The guest policy allows a migration agent, which can export the guest. */
  readonly unsafeMigrationAgentAccepted?: true;
  /** Privilege levels accepted besides 0. */
  readonly unsafeAcceptedVmpls?: readonly number[];
  /** Accept keys of these cloud providers (VLEK) besides keys of a chip (VCEK). */
  readonly unsafeVlekProviders?: readonly string[];
  /** Accept a chain whose signing key was not looked up in a CRL. */
  readonly unsafeRevocationUnchecked?: true;
  /** Accept a root that is not AMD's. */
  readonly unsafeTrustAnchorAccepted?: true;
}
