import type { TcbStatus } from '../verify/tcb-status.js';

/** Reference values: when a list is given, the quote's value must be in it. Bytes as in the report. */
export interface ReferenceValues {
  readonly mrSeam?: readonly Uint8Array[];
  readonly mrTd?: readonly Uint8Array[];
  readonly rtMr0?: readonly Uint8Array[];
  readonly rtMr1?: readonly Uint8Array[];
  readonly rtMr2?: readonly Uint8Array[];
  readonly mrConfigId?: readonly Uint8Array[];
  readonly mrEnclave?: readonly Uint8Array[];
  readonly mrSigner?: readonly Uint8Array[];
}

/**
 * What a verified quote must satisfy. The empty policy is the strictest one; fields without the prefix only add
 * requirements, and every field that weakens is named `unsafe…`, so that it shows in the events it influenced
 * (`unsafeNames`).
 */
export interface AppraisalPolicy {
  /** Kind of TEE expected; default TDX. */
  readonly tee?: 'TDX' | 'SGX';
  /** Advisories that refuse the quote whatever its status. */
  readonly rejectedAdvisories?: readonly string[];
  readonly minTcbEvaluationDataNumber?: number;
  readonly minTcbLevelDate?: Date;
  /** 64 bytes the report data must equal. */
  readonly reportData?: Uint8Array;
  readonly references?: ReferenceValues;
  /** Statuses accepted besides UpToDate. `Revoked` never reaches appraisal. */
  readonly unsafeAcceptedStatuses?: readonly TcbStatus[];
  readonly unsafeDebugAccepted?: true;
  /** Some clouds do not set SEPT_VE_DISABLE. */
  readonly unsafeSeptVeNotRequired?: true;
  /** Some clouds bind a service TD. */
  readonly unsafeServiceTdAccepted?: true;
  /** Accept a root that is not Intel's (development: the quote simulator). */
  readonly unsafeTrustAnchorAccepted?: true;
}
