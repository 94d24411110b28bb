import { createHash, type KeyObject } from 'node:crypto';

/** `ed25519:` and the first 16 bytes (32 hex digits) of SHA-256 over the raw 32-byte public key. */
export function keyIdOf(publicKey: KeyObject): string {
  const jwk = publicKey.export({ format: 'jwk' });
  if (jwk.crv !== 'Ed25519' || jwk.x === undefined) throw new TypeError('an Ed25519 key is required');
  return `ed25519:${createHash('sha256').update(Buffer.from(jwk.x, 'base64url')).digest('hex').slice(0, 32)}`;
}
