import type { GuestPolicy } from './guest-policy.js';
import type { PlatformInfo } from './platform-info.js';
import type { SnpProduct } from './product.js';

export type SnpSigningKey = 'VCEK' | 'VLEK' | 'NONE';

export interface SnpFirmwareVersion {
  readonly major: number;
  readonly minor: number;
  readonly build: number;
}

declare const parsed: unique symbol;

/**
 * A report whose format is valid. Nothing in it is authenticated yet: only `verifySnpReport` makes facts of it. Byte
 * fields are views of one private copy.
 */
export interface ParsedSnpReport {
  readonly [parsed]: true;
  readonly version: 2 | 3 | 4 | 5;
  readonly guestSvn: number;
  readonly policy: GuestPolicy;
  /** 16 bytes each. */
  readonly familyId: Uint8Array;
  readonly imageId: Uint8Array;
  /** Privilege level of the guest software that asked, 0-3; 0xffffffff when the host asked. */
  readonly vmpl: number;
  readonly platformInfo: PlatformInfo;
  readonly authorKeyEnabled: boolean;
  /** The host masks the chip's key: the firmware then does not sign. */
  readonly chipKeyMasked: boolean;
  readonly signingKey: SnpSigningKey;
  /** 64 bytes. */
  readonly reportData: Uint8Array;
  /** Launch digest, 48 bytes. */
  readonly measurement: Uint8Array;
  /** 32 bytes. */
  readonly hostData: Uint8Array;
  /** SHA-384 of the keys of an ID block, 48 bytes each; zero without one. */
  readonly idKeyDigest: Uint8Array;
  readonly authorKeyDigest: Uint8Array;
  /** 32 bytes each. */
  readonly reportId: Uint8Array;
  readonly reportIdMa: Uint8Array;
  /** 64 bytes, of which Turin uses the first 8; zero when the host masks it. */
  readonly chipId: Uint8Array;
  /** Product line by the report's CPUID; null in version 2, which has none. */
  readonly product: SnpProduct | null;
  /** TCB_VERSION of 8 bytes each: their layout depends on the product line. */
  readonly tcbBytes: {
    readonly current: Uint8Array;
    readonly reported: Uint8Array;
    readonly committed: Uint8Array;
    readonly launch: Uint8Array;
  };
  readonly currentFirmware: SnpFirmwareVersion;
  readonly committedFirmware: SnpFirmwareVersion;
  /** Version 5 only, else null. */
  readonly launchMitigations: bigint | null;
  readonly currentMitigations: bigint | null;
  /** The bytes the signature covers, 672. */
  readonly signedBytes: Uint8Array;
  /** r ‖ s, 96 bytes, big-endian. */
  readonly signature: Uint8Array;
  readonly bytes: Uint8Array;
}
