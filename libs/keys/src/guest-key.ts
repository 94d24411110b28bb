import { createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';
import { appKeyStatement } from './app-keys.js';
import { deriveKey } from './derive.js';
import { InvalidKeyError } from './errors.js';
import { k256PublicKey, recoverK256Keccak, signK256Keccak } from './k256.js';

const ED25519_PKCS8_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex');

export type GuestKeyAlgorithm = 'secp256k1' | 'ed25519';

/** Answer of the guest's GetKey (dstack-guest §3.2). */
export interface GuestKey {
  readonly algorithm: GuestKeyAlgorithm;
  /** 32 bytes: secp256k1 scalar or Ed25519 seed. Secret. */
  readonly key: Uint8Array;
  /** Compressed secp256k1 (33 bytes) or Ed25519 (32 bytes). */
  readonly publicKey: Uint8Array;
  /** [app key's signature over the claim, KMS's signature over the app key]; 65 bytes each. */
  readonly signatureChain: readonly [Uint8Array, Uint8Array];
}

/** GetKey algorithm names: empty, `secp256k1`, `k256`, `ed25519`; undefined for any other ("Unsupported algorithm"). */
export function guestKeyAlgorithm(name: string): GuestKeyAlgorithm | undefined {
  if (name === '' || name === 'secp256k1' || name === 'k256') return 'secp256k1';
  return name === 'ed25519' ? 'ed25519' : undefined;
}

/**
 * GetKey, v0 (dstack-guest §4): key = derive_key(k256_key, [path], 32), the same bytes for both algorithms; the purpose
 * only enters the signed claim. Throws InvalidKeyError when the derived bytes are no secp256k1 scalar.
 */
export function deriveGuestKey(options: {
  /** The app's 32-byte secp256k1 key from its grant. */
  readonly k256Key: Uint8Array;
  /** The KMS's 65-byte signature over the app key, from the same grant. */
  readonly k256Signature: Uint8Array;
  readonly path: string;
  readonly purpose: string;
  readonly algorithm: GuestKeyAlgorithm;
}): GuestKey {
  const { k256Key, path, purpose, algorithm } = options;
  const key = deriveKey(k256Key, [path], 32);
  const publicKey = algorithm === 'secp256k1' ? k256PublicKey(key) : ed25519PublicKeyOf(key);
  const claim = signK256Keccak(k256Key, guestKeyClaim(purpose, publicKey));
  return { algorithm, key, publicKey, signatureChain: [claim, options.k256Signature] };
}

/** What link 0 of a GetKey chain signs: "{purpose}:{lower-case hex of the public key}", ASCII. */
export function guestKeyClaim(purpose: string, publicKey: Uint8Array): Uint8Array {
  return new TextEncoder().encode(`${purpose}:${Buffer.from(publicKey).toString('hex')}`);
}

/** True when the chain leads from the KMS's secp256k1 root over this app's key to this public key and purpose. */
export function verifyGuestKeyChain(options: {
  readonly kmsK256PublicKey: Uint8Array;
  readonly appId: Uint8Array;
  readonly purpose: string;
  readonly publicKey: Uint8Array;
  readonly signatureChain: readonly Uint8Array[];
}): boolean {
  const [claim, issued] = options.signatureChain;
  if (claim === undefined || issued === undefined || options.signatureChain.length !== 2) return false;
  const appPublicKey = recoverK256Keccak(guestKeyClaim(options.purpose, options.publicKey), claim);
  if (appPublicKey === undefined) return false;
  const kms = recoverK256Keccak(appKeyStatement(options.appId, appPublicKey), issued);
  return kms !== undefined && Buffer.compare(kms, options.kmsK256PublicKey) === 0;
}

/** Ed25519 signature (RFC 8032, 64 bytes) with a 32-byte seed. */
export function signEd25519(seed: Uint8Array, data: Uint8Array): Uint8Array {
  return sign(null, data, ed25519PrivateKey(seed));
}

function ed25519PublicKeyOf(seed: Uint8Array): Uint8Array {
  const { x } = createPublicKey(ed25519PrivateKey(seed)).export({ format: 'jwk' });
  if (x === undefined) throw new InvalidKeyError('an Ed25519 key is required');
  return Buffer.from(x, 'base64url');
}

function ed25519PrivateKey(seed: Uint8Array): KeyObject {
  if (seed.length !== 32) throw new InvalidKeyError('an Ed25519 seed has 32 bytes');
  return createPrivateKey({ key: Buffer.concat([ED25519_PKCS8_HEAD, seed]), format: 'der', type: 'pkcs8' });
}
