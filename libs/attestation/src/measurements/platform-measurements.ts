import { concatBytes, hashBytes } from '../bytes.js';

/** mr_system and mr_aggregated of a platform, 32 bytes each (dstack-kms §12). */
export interface PlatformMeasurements {
  readonly mrSystem: Uint8Array;
  readonly mrAggregated: Uint8Array;
}

/** GCP confidential VM (TDX with vTPM). PCRs are of the SHA-256 bank. */
export function gcpMeasurements(values: {
  readonly osImageHash: Uint8Array;
  /** SHA-256 of the key-provider payload, or 32 zero bytes. */
  readonly mrKeyProvider: Uint8Array;
  readonly pcr0: Uint8Array;
  readonly pcr2: Uint8Array;
  /** Replay of the runtime events with SHA-256, cut at boot-mr-done for the boot-time form. */
  readonly pcr14: Uint8Array;
}): PlatformMeasurements {
  return {
    mrSystem: hashBytes('sha256', values.osImageHash, values.mrKeyProvider),
    mrAggregated: hashBytes('sha256', values.pcr0, values.pcr2, values.pcr14),
  };
}

/** AWS EC2 with NitroTPM. PCRs are of the SHA-384 bank. */
export function awsTpmMeasurements(values: {
  readonly pcr4: Uint8Array;
  readonly pcr7: Uint8Array;
  readonly pcr12: Uint8Array;
  readonly mrKeyProvider: Uint8Array;
  /** Replay of the runtime events with SHA-384. */
  readonly pcr14: Uint8Array;
}): PlatformMeasurements & { /** What the image's aws measurement must say. */ readonly bootPcrDigest: Uint8Array } {
  const boot = concatBytes(values.pcr4, values.pcr7, values.pcr12);
  return {
    mrSystem: hashBytes('sha256', boot, values.mrKeyProvider),
    mrAggregated: hashBytes('sha256', boot, values.pcr14),
    bootPcrDigest: hashBytes('sha256', boot),
  };
}

/** PCR 8 of a NitroTPM that was extended once, with a version 2 mr_config_id: SHA-384(0^48 ‖ id), 48 bytes. */
export function awsConfigPcr(mrConfigId: Uint8Array): Uint8Array {
  return hashBytes('sha384', new Uint8Array(48), mrConfigId);
}

/** AWS Nitro enclave: mr_system, mr_aggregated and the OS image hash are all SHA-256(PCR0 ‖ PCR1 ‖ PCR2). */
export function nitroEnclaveMeasurements(
  pcr0: Uint8Array,
  pcr1: Uint8Array,
  pcr2: Uint8Array,
): PlatformMeasurements & { readonly osImageHash: Uint8Array } {
  const digest = hashBytes('sha256', pcr0, pcr1, pcr2);
  return { mrSystem: digest, mrAggregated: digest, osImageHash: digest };
}

/** AMD SEV-SNP: MEASUREMENT is 48 bytes, HOST_DATA 32. */
export function snpMeasurements(measurement: Uint8Array, hostData: Uint8Array): PlatformMeasurements {
  return {
    mrSystem: hashBytes('sha256', measurement),
    mrAggregated: hashBytes('sha256', measurement, hostData),
  };
}
