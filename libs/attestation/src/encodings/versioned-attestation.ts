import type { RuntimeEvent } from '../event-log/runtime-event.js';
import type { TdxEvent } from '../event-log/tdx-event.js';

/** Largest attestation that is read, in bytes. */
export const MAX_ATTESTATION_BYTES = 10 * 1024 * 1024;

export interface PcrValue {
  readonly index: number;
  /** Bank, for example `sha256`. */
  readonly algorithm: string;
  readonly value: Uint8Array;
}

export interface TpmEvent {
  readonly pcrIndex: number;
  readonly digest: Uint8Array;
}

/** Where a TPM quote was made; the index is the SCALE discriminant. */
export const TPM_PLATFORMS = ['dstack', 'gcp', 'nitro-enclave', 'aws-ec2'] as const;
export type TpmPlatform = (typeof TPM_PLATFORMS)[number];

export interface TpmQuote {
  /** TPMS_ATTEST. */
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
  readonly pcrValues: readonly PcrValue[];
  /** DER. */
  readonly akCert: Uint8Array;
  readonly platform: TpmPlatform;
  readonly eventLog: readonly TpmEvent[];
}

/** Evidence of the platform, by the kinds of dstack-kms §10.3. */
export type PlatformEvidence =
  | { readonly kind: 'tdx'; readonly quote: Uint8Array; readonly eventLog: readonly TdxEvent[] }
  | {
      readonly kind: 'gcp-tdx';
      readonly quote: Uint8Array;
      readonly eventLog: readonly TdxEvent[];
      readonly tpmQuote: TpmQuote;
    }
  | { readonly kind: 'nitro-enclave' /** COSE_Sign1. */; readonly nsmQuote: Uint8Array }
  | { readonly kind: 'aws-nitro-tpm'; readonly attestationDoc: Uint8Array }
  | {
      readonly kind: 'sev-snp';
      readonly report: Uint8Array;
      readonly certChain: readonly Uint8Array[];
      /** Exact text of the MrConfig V3 document that HOST_DATA binds. */
      readonly mrConfig: string;
    };

/** dstack's part of the evidence. */
export interface StackEvidence {
  /** 64 bytes. */
  readonly reportData: Uint8Array;
  readonly runtimeEvents: readonly RuntimeEvent[];
  /** vm_config or whole sys-config, JSON text. */
  readonly config: string;
  /** `dstack-pod` only: the text that report_data binds as app-data. Null for `dstack`. */
  readonly reportDataPayload: string | null;
}

/** What a guest hands to a verifier. Byte fields are views of the input it was read from. */
export interface VersionedAttestation {
  /** Encoding: 0 SCALE, 1 MessagePack. */
  readonly version: 0 | 1;
  readonly platform: PlatformEvidence;
  readonly stack: StackEvidence;
}

/** `teeVariant` as the authorisation API names it. */
export const TEE_VARIANTS = {
  tdx: 'dstack-tdx',
  'gcp-tdx': 'dstack-gcp-tdx',
  'nitro-enclave': 'dstack-nitro-enclave',
  'sev-snp': 'dstack-amd-sev-snp',
  'aws-nitro-tpm': 'dstack-aws-nitro-tpm',
} as const satisfies Record<PlatformEvidence['kind'], string>;
export type TeeVariant = (typeof TEE_VARIANTS)[keyof typeof TEE_VARIANTS];
