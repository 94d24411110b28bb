export const REPORT_DATA_HASHES = [
  'sha256',
  'sha384',
  'sha512',
  'sha3-256',
  'sha3-384',
  'sha3-512',
  'keccak256',
  'keccak384',
  'keccak512',
  'raw',
] as const;
export type ReportDataHash = (typeof REPORT_DATA_HASHES)[number];

/** 64 bytes: hash(tag ‖ ":" ‖ content), zero-padded right. `raw`: content as is, exactly 64 bytes, no tag. @throws RangeError */
export function reportData(_tag: string, _content: Uint8Array, _hash: ReportDataHash = 'sha512'): Uint8Array {
  throw new Error('not implemented');
}

/** Tag `app-data`. */
export function appReportData(_content: Uint8Array, _hash: ReportDataHash = 'sha512'): Uint8Array {
  throw new Error('not implemented');
}

/** Tag `ratls-cert`; content is the DER SubjectPublicKeyInfo. */
export function ratlsReportData(_spkiDer: Uint8Array): Uint8Array {
  throw new Error('not implemented');
}

/** Tag `kms-root-ca`; content is the DER SubjectPublicKeyInfo of the root CA. */
export function kmsRootReportData(_content: Uint8Array): Uint8Array {
  throw new Error('not implemented');
}

/** What a guest's grant request binds: SHA-512("vouch-grant-v1:" ‖ canonical JSON of the claims), 64 bytes. */
export function grantReportData(_canonicalClaims: string): Uint8Array {
  throw new Error('not implemented');
}
