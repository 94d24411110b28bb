import { keccak_256, keccak_384, keccak_512 } from '@noble/hashes/sha3.js';
import { concatBytes, hashBytes } from '../bytes.js';

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

/** The algorithm of that name as dstack's API spells them; empty is sha512, anything else undefined. */
export function reportDataHashNamed(name: string): ReportDataHash | undefined {
  return name === '' ? 'sha512' : REPORT_DATA_HASHES.find((known) => known === name);
}

/** Size of a report's data field, in bytes. */
export const REPORT_DATA_BYTES = 64;

const KECCAK = { keccak256: keccak_256, keccak384: keccak_384, keccak512: keccak_512 } as const;

/**
 * dstack's report data (dstack-kms §8): hash(tag ‖ ":" ‖ content), zero-padded on the right to 64 bytes. `raw` takes the
 * content as it is, without the tag.
 * @throws RangeError when `raw` content is not 64 bytes.
 */
export function reportData(tag: string, content: Uint8Array, hash: ReportDataHash = 'sha512'): Uint8Array {
  if (hash === 'raw') {
    if (content.length !== REPORT_DATA_BYTES)
      throw new RangeError(`raw report data has 64 bytes, not ${content.length}`);
    return content.slice();
  }
  const preimage = concatBytes(Buffer.from(`${tag}:`, 'utf8'), content);
  const padded = new Uint8Array(REPORT_DATA_BYTES);
  padded.set(digest(hash, preimage));
  return padded;
}

function digest(hash: Exclude<ReportDataHash, 'raw'>, preimage: Uint8Array): Uint8Array {
  if (hash === 'keccak256' || hash === 'keccak384' || hash === 'keccak512') return KECCAK[hash](preimage);
  return hashBytes(hash, preimage);
}

/** Tag `app-data`. */
export function appReportData(content: Uint8Array, hash: ReportDataHash = 'sha512'): Uint8Array {
  return reportData('app-data', content, hash);
}

/** Tag `ratls-cert`; content is the full DER SubjectPublicKeyInfo (91 bytes for P-256). */
export function ratlsReportData(spkiDer: Uint8Array): Uint8Array {
  return reportData('ratls-cert', spkiDer);
}

/** Tag `kms-root-ca`. */
export function kmsRootReportData(content: Uint8Array): Uint8Array {
  return reportData('kms-root-ca', content);
}

/** What a guest's grant request binds: SHA-512("vouch-grant-v1:" ‖ RFC 8785 JSON of the claims, UTF-8), 64 bytes. */
export function grantReportData(canonicalClaims: string): Uint8Array {
  return reportData('vouch-grant-v1', Buffer.from(canonicalClaims, 'utf8'));
}

/** Prefix and size in bytes of the public keys an app-key attestation can bind; secp256k1 keys are compressed. */
const APP_KEYS = {
  ed25519: { prefix: 'dip1::ed25519-pk:', sizeBytes: 32 },
  secp256k1: { prefix: 'dip1::secp256k1c-pk:', sizeBytes: 33 },
} as const;

/**
 * What `GetAttestationForAppKey` quotes: ASCII prefix and base64url of the public key, zero-padded to 64 bytes.
 * @throws RangeError for a key of another size.
 */
export function appKeyReportData(algorithm: keyof typeof APP_KEYS, publicKey: Uint8Array): Uint8Array {
  const { prefix, sizeBytes } = APP_KEYS[algorithm];
  if (publicKey.length !== sizeBytes) {
    throw new RangeError(`an ${algorithm} public key has ${sizeBytes} bytes, not ${publicKey.length}`);
  }
  const padded = new Uint8Array(REPORT_DATA_BYTES);
  padded.set(Buffer.from(prefix + Buffer.from(publicKey).toString('base64url'), 'latin1'));
  return padded;
}
