import { secp256k1 } from '@noble/curves/secp256k1.js';
import { keccak_256 } from '@noble/hashes/sha3.js';
import { InvalidKeyError } from './errors.js';
import { type K256Engine, loadNativeK256, pureK256 } from './k256-engine.js';

const SIGNATURE_BYTES = 65;

let engine: K256Engine = pureK256;

/**
 * From now on public keys and recoverable signatures of this process come from libsecp256k1, when its addon can be loaded;
 * the bytes are the same either way. A key server asks for it; guests stay with the pure code. Answers what is in use.
 */
export function preferNativeK256(): K256Engine['name'] {
  engine = loadNativeK256() ?? pureK256;
  return engine.name;
}

/** Keccak-256 (not SHA3-256) of the joined parts. */
export function keccak256(...parts: readonly Uint8Array[]): Uint8Array {
  return keccak_256(Buffer.concat(parts));
}

/** Compressed public key (33 bytes) of a 32-byte secp256k1 scalar. Throws InvalidKeyError outside 1..n-1. */
export function k256PublicKey(scalar: Uint8Array): Uint8Array {
  assertK256Scalar(scalar);
  return engine.publicKey(scalar);
}

/** Throws InvalidKeyError (dstack's text) unless the bytes are a secp256k1 scalar. */
export function assertK256Scalar(scalar: Uint8Array): void {
  if (!secp256k1.utils.isValidSecretKey(scalar)) throw new InvalidKeyError('Failed to parse k256 key');
}

/** True for 32 bytes that are a secp256k1 scalar, 1..n-1. */
export function isK256Scalar(scalar: Uint8Array): boolean {
  return secp256k1.utils.isValidSecretKey(scalar);
}

/**
 * dstack's recoverable signature (dstack-kms §7): ECDSA over Keccak-256 of the message, RFC 6979 nonce with SHA-256,
 * low S; 65 bytes r || s || recovery id (0 or 1, not 27/28).
 */
export function signK256Keccak(scalar: Uint8Array, message: Uint8Array): Uint8Array {
  assertK256Scalar(scalar);
  return engine.signRecoverable(keccak256(message), scalar);
}

/** Compressed public key that signed `message` in the form of {@link signK256Keccak}; undefined when none did. */
export function recoverK256Keccak(message: Uint8Array, signature: Uint8Array): Uint8Array | undefined {
  if (signature.length !== SIGNATURE_BYTES) return undefined;
  const recid = signature[SIGNATURE_BYTES - 1];
  if (recid === undefined || recid > 3) return undefined;
  const recovered = Buffer.concat([Uint8Array.of(recid), signature.subarray(0, SIGNATURE_BYTES - 1)]);
  const digest = keccak256(message);
  try {
    const publicKey = secp256k1.recoverPublicKey(recovered, digest, { prehash: false });
    const compact = recovered.subarray(1);
    return secp256k1.verify(compact, digest, publicKey, { prehash: false, lowS: true }) ? publicKey : undefined;
  } catch {
    return undefined;
  }
}

/** ECDSA over SHA-256 of the data, 64 bytes r || s, low S (guest `Sign` with secp256k1). */
export function signK256Sha256(scalar: Uint8Array, data: Uint8Array): Uint8Array {
  assertK256Scalar(scalar);
  return secp256k1.sign(data, scalar, { prehash: true, lowS: true });
}

/** ECDSA over a 32-byte digest, 64 bytes r || s, low S (guest `Sign` with secp256k1_prehashed). */
export function signK256Digest(scalar: Uint8Array, digest: Uint8Array): Uint8Array {
  assertK256Scalar(scalar);
  return secp256k1.sign(digest, scalar, { prehash: false, lowS: true });
}

/** Checks a 64-byte r || s signature over SHA-256(data); high S is refused. Throws InvalidKeyError for a bad public key. */
export function verifyK256Sha256(publicKey: Uint8Array, data: Uint8Array, signature: Uint8Array): boolean {
  return verifyCompact(publicKey, data, signature, true);
}

/** Checks a 64-byte r || s signature over a digest; high S is refused. Throws InvalidKeyError for a bad public key. */
export function verifyK256Digest(publicKey: Uint8Array, digest: Uint8Array, signature: Uint8Array): boolean {
  return verifyCompact(publicKey, digest, signature, false);
}

function verifyCompact(publicKey: Uint8Array, data: Uint8Array, signature: Uint8Array, prehash: boolean): boolean {
  if (!secp256k1.utils.isValidPublicKey(publicKey)) throw new InvalidKeyError('not a secp256k1 public key');
  try {
    return secp256k1.verify(signature, data, publicKey, { prehash, lowS: true });
  } catch {
    return false;
  }
}
