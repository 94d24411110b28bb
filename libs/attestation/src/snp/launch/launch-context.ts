import { concatBytes, hashBytes } from '../../bytes.js';

/** Page types of the firmware's PAGE_INFO (ABI 56860, SNP_LAUNCH_UPDATE). */
export const PAGE_TYPE = { normal: 1, vmsa: 2, zero: 3, secrets: 5, cpuid: 6 } as const;
export type PageType = (typeof PAGE_TYPE)[keyof typeof PAGE_TYPE];

export const PAGE_BYTES = 4096;

/** Size of a launch digest, in bytes (SHA-384). */
export const DIGEST_BYTES = 48;
const PAGE_INFO_BYTES = 0x70;
const ZERO_DIGEST = new Uint8Array(DIGEST_BYTES);

/**
 * One step of the launch digest (dstack-kms §14.3): SHA-384(digest ‖ contents ‖ u16LE 0x70 ‖ page type ‖ 5 zero bytes ‖
 * u64LE guest physical address). `contents` is the SHA-384 of the page, or 48 zero bytes for pages that are not measured.
 */
export function updateLaunchDigest(
  digest: Uint8Array,
  type: PageType,
  address: bigint,
  contents: Uint8Array = ZERO_DIGEST,
): Uint8Array {
  const info = new Uint8Array(16);
  const view = new DataView(info.buffer);
  view.setUint16(0, PAGE_INFO_BYTES, true);
  view.setUint8(2, type);
  view.setBigUint64(8, address, true);
  return hashBytes('sha384', concatBytes(digest, contents, info));
}

/** SHA-384 of one page, 48 bytes. */
export function pageDigest(page: Uint8Array): Uint8Array {
  return hashBytes('sha384', page);
}
