import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { equalBytes, toHex } from '../bytes.js';
import { Refusal } from '../refusal.js';
import { DER, DerReader } from './der-reader.js';
import { OID } from './object-identifiers.js';

/** Size of an uncompressed P-256 point without its 04 prefix, in bytes. */
const POINT_BYTES = 64;

/**
 * Imports x ‖ y (64 bytes) as a P-256 public key. As JWK because that is the cheapest import; OpenSSL refuses points that
 * are not on the curve.
 * @throws Refusal `KEY_INVALID`
 */
export function importP256(point: Uint8Array, owner: string): KeyObject {
  const coordinate = (start: number): string => Buffer.from(point.subarray(start, start + 32)).toString('base64url');
  try {
    return createPublicKey({ key: { kty: 'EC', crv: 'P-256', x: coordinate(0), y: coordinate(32) }, format: 'jwk' });
  } catch {
    throw new Refusal('KEY_INVALID', `${owner} is not a point of P-256`);
  }
}

/** ECDSA P-256 / SHA-256; signature is r ‖ s (64 bytes). r or s of 0 or ≥ n is refused by OpenSSL. */
export function verifyRaw(key: KeyObject, data: Uint8Array, signature: Uint8Array): boolean {
  return signature.length === POINT_BYTES && verify('sha256', data, { key, dsaEncoding: 'ieee-p1363' }, signature);
}

/** ECDSA P-256 / SHA-256; signature is a DER SEQUENCE, as in certificates. */
export function verifyDer(key: KeyObject, data: Uint8Array, signature: Uint8Array): boolean {
  return verify('sha256', data, { key, dsaEncoding: 'der' }, signature);
}

/** x ‖ y of a P-256 SubjectPublicKeyInfo. @throws Refusal `DER_FORMAT` or `KEY_INVALID` */
export function pointOfSpki(spki: Uint8Array): Uint8Array {
  const outer = new DerReader(spki).enter(DER.sequence, 'public key');
  const algorithm = outer.enter(DER.sequence, 'public key algorithm');
  const [type, curve] = [algorithm.oid('public key type'), algorithm.oid('curve')];
  algorithm.expectEnd('public key algorithm');
  const bits = outer.bits('public key bits');
  outer.expectEnd('public key');
  if (type !== OID.ecPublicKey || curve !== OID.prime256v1) throw new Refusal('KEY_INVALID', 'the key is not P-256');
  if (bits.length !== POINT_BYTES + 1 || bits[0] !== 4)
    throw new Refusal('KEY_INVALID', 'the point is not uncompressed');
  return bits.subarray(1);
}

const MEMO_LIMIT = 64;
const memo: { readonly point: Uint8Array; readonly key: KeyObject }[] = [];

/**
 * Like `importP256` for keys that come back with every quote (roots, CAs, TCB signers): keeps the last 64 key objects,
 * found by the exact point. A pure cache: the result is the same without it.
 */
export function importIssuerKey(point: Uint8Array, owner: string): KeyObject {
  const found = memo.find((entry) => equalBytes(entry.point, point));
  if (found !== undefined) return found.key;
  const key = importP256(point, `${owner} key ${toHex(point.subarray(0, 4))}…`);
  memo.unshift({ point: point.slice(), key });
  memo.length = Math.min(memo.length, MEMO_LIMIT);
  return key;
}
