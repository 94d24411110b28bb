import { createHash, hkdfSync } from 'node:crypto';
import { type P256Key, p256FromScalar, p256Pkcs8Of } from './p256.js';

const SALT = new TextEncoder().encode('RATLS');

/** Bytes or text (UTF-8) of a derivation context. */
export type ContextPart = string | Uint8Array;

/**
 * derive_key of dstack (dstack-kms §7): HKDF-SHA-256 with salt "RATLS" and info = the parts joined without lengths or
 * separators. `length` in bytes, at most 255 * 32.
 */
export function deriveKey(ikm: Uint8Array, context: readonly ContextPart[], length: number): Uint8Array {
  const info = Buffer.concat(context.map((part) => Buffer.from(part as Uint8Array)));
  return new Uint8Array(hkdfSync('sha256', ikm, SALT, info, length));
}

/**
 * derive_p256 of dstack: {@link deriveKey} of the parent's 32-byte scalar, taken directly as the child's scalar.
 * Throws InvalidKeyError for a derived zero or a value not below the group order (no retry, no reduction).
 */
export function deriveP256(parentScalar: Uint8Array, context: readonly ContextPart[]): P256Key {
  const scalar = deriveKey(parentScalar, context, 32);
  try {
    return p256FromScalar(scalar);
  } finally {
    scalar.fill(0);
  }
}

/** derive_dh_secret of dstack: SHA-256 over the 138-byte PKCS#8 DER of {@link deriveP256}, not the HKDF output. */
export function deriveDhSecret(parentScalar: Uint8Array, context: readonly ContextPart[]): Uint8Array {
  const scalar = deriveKey(parentScalar, context, 32);
  try {
    const pkcs8 = p256Pkcs8Of(scalar);
    try {
      return new Uint8Array(createHash('sha256').update(pkcs8).digest());
    } finally {
      pkcs8.fill(0);
    }
  } finally {
    scalar.fill(0);
  }
}
