import { createECDH, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { InvalidKeyError } from './errors.js';

/** Fixed DER around a P-256 key in the 138-byte PKCS#8 form dstack hashes (dstack-kms §7). */
const PKCS8_HEAD = Buffer.from('308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420', 'hex');
const PKCS8_MIDDLE = Buffer.from('a144034200', 'hex');
/** Fixed DER in front of the uncompressed point of a P-256 SubjectPublicKeyInfo (91 bytes in all). */
const SPKI_HEAD = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d030107034200', 'hex');
const POINT_BYTES = 65;
const SCALAR_BYTES = 32;

/** A P-256 private key and the encodings its users need. `scalar` and `pkcs8` are secret; wipe them when done. */
export interface P256Key {
  /** 32 bytes, big-endian. */
  readonly scalar: Uint8Array;
  /** PKCS#8 DER, 138 bytes, public key included. */
  readonly pkcs8: Uint8Array;
  /** SubjectPublicKeyInfo DER, 91 bytes. */
  readonly spki: Uint8Array;
  /** Uncompressed point, 65 bytes. */
  readonly point: Uint8Array;
  readonly privateKey: KeyObject;
}

/** Builds a P-256 key from its 32-byte big-endian scalar. Throws InvalidKeyError outside 1..n-1. */
export function p256FromScalar(scalar: Uint8Array): P256Key {
  const point = pointOf(scalar);
  const pkcs8 = pkcs8Of(scalar, point);
  return {
    scalar: Uint8Array.from(scalar),
    pkcs8,
    spki: Buffer.concat([SPKI_HEAD, point]),
    point,
    privateKey: createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' }),
  };
}

/** The 138-byte PKCS#8 form alone; secret: wipe it when done. Throws InvalidKeyError. */
export function p256Pkcs8Of(scalar: Uint8Array): Uint8Array {
  return pkcs8Of(scalar, pointOf(scalar));
}

function pkcs8Of(scalar: Uint8Array, point: Uint8Array): Buffer {
  return Buffer.concat([PKCS8_HEAD, scalar, PKCS8_MIDDLE, point]);
}

/** SubjectPublicKeyInfo (91 bytes) of a scalar, without making further copies of it. Throws InvalidKeyError. */
export function p256SpkiOf(scalar: Uint8Array): Uint8Array {
  return Buffer.concat([SPKI_HEAD, pointOf(scalar)]);
}

/** True for 32 bytes that are a P-256 scalar, 1..n-1. */
export function isP256Scalar(scalar: Uint8Array): boolean {
  try {
    pointOf(scalar);
    return true;
  } catch {
    return false;
  }
}

/** Overwrites the secret encodings of a key that is no longer needed. Its KeyObject stays usable while referenced. */
export function wipeP256(key: P256Key): void {
  key.scalar.fill(0);
  key.pkcs8.fill(0);
}

function pointOf(scalar: Uint8Array): Buffer {
  if (scalar.length !== SCALAR_BYTES) throw new InvalidKeyError('a P-256 scalar has 32 bytes');
  const ecdh = createECDH('prime256v1');
  try {
    ecdh.setPrivateKey(scalar);
  } catch (cause) {
    throw new InvalidKeyError('not a P-256 scalar (zero, or not below the group order)', { cause });
  }
  return ecdh.getPublicKey();
}

/** A fresh random P-256 key. */
export function generateP256(): P256Key {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const { d } = privateKey.export({ format: 'jwk' });
  if (d === undefined) throw new InvalidKeyError('the generated key has no private part');
  return p256FromScalar(Buffer.from(d, 'base64url'));
}

/** Imports a PEM or DER (PKCS#8) P-256 private key. Throws InvalidKeyError for any other key. */
export function p256FromPem(pem: string): P256Key {
  const jwk = createPrivateKey(pem).export({ format: 'jwk' });
  if (jwk.crv !== 'P-256' || jwk.d === undefined) throw new InvalidKeyError('a P-256 private key is required');
  return p256FromScalar(Buffer.from(jwk.d, 'base64url'));
}

/** Imports a DER SubjectPublicKeyInfo and insists on P-256 in the 91-byte uncompressed form. Throws InvalidKeyError. */
export function p256PublicKey(spki: Uint8Array): KeyObject {
  if (spki.length !== SPKI_HEAD.length + POINT_BYTES || Buffer.compare(spki.subarray(0, SPKI_HEAD.length), SPKI_HEAD)) {
    throw new InvalidKeyError('not the 91-byte SubjectPublicKeyInfo of a P-256 key');
  }
  try {
    return createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
  } catch (cause) {
    throw new InvalidKeyError('the point is not on P-256', { cause });
  }
}

/** Uncompressed point (65 bytes) of a SubjectPublicKeyInfo that {@link p256PublicKey} accepts. */
export function p256PointOf(spki: Uint8Array): Uint8Array {
  p256PublicKey(spki);
  return spki.subarray(SPKI_HEAD.length);
}
