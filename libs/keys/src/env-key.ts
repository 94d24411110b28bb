import { createPrivateKey, createPublicKey, diffieHellman, type KeyObject } from 'node:crypto';
import { InvalidKeyError, SealOpenError } from './errors.js';
import { recoverK256Keccak, signK256Keccak } from './k256.js';
import type { RootKeys } from './root-keys.js';

const X25519_PKCS8_HEAD = Buffer.from('302e020100300506032b656e04220420', 'hex');
const X25519_SPKI_HEAD = Buffer.from('302a300506032b656e032100', 'hex');
const ENV_KEY_TAG = Buffer.from('dstack-env-encrypt-pubkey:');
/** SDK rules for a timestamped env key (dstack-kms §7): oldest and furthest ahead, in seconds. */
const MAX_AGE_SECONDS = 300;
const MAX_AHEAD_SECONDS = 60;

/** Public X25519 key (32 bytes) of a 32-byte secret; clamping happens at use. */
export function x25519PublicKey(secret: Uint8Array): Uint8Array {
  return publicKeyOf(x25519PrivateKeyObject(secret));
}

/** Public key of a secret and its shared secret with a peer, both 32 bytes. Throws as {@link x25519SharedSecret}. */
export function x25519Agreement(
  secret: Uint8Array,
  peer: Uint8Array,
): { readonly publicKey: Uint8Array; readonly shared: Uint8Array } {
  const privateKey = x25519PrivateKeyObject(secret);
  return { publicKey: publicKeyOf(privateKey), shared: sharedSecret(privateKey, peer) };
}

/** X25519 (RFC 7748) shared secret. Throws SealOpenError for a peer key of small order (all-zero result). */
export function x25519SharedSecret(secret: Uint8Array, peer: Uint8Array): Uint8Array {
  return sharedSecret(x25519PrivateKeyObject(secret), peer);
}

function publicKeyOf(privateKey: KeyObject): Uint8Array {
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  return new Uint8Array(spki.subarray(X25519_SPKI_HEAD.length));
}

function sharedSecret(privateKey: KeyObject, peer: Uint8Array): Uint8Array {
  if (peer.length !== 32) throw new InvalidKeyError('an X25519 public key has 32 bytes');
  const publicKey = createPublicKey({ key: Buffer.concat([X25519_SPKI_HEAD, peer]), format: 'der', type: 'spki' });
  try {
    return new Uint8Array(diffieHellman({ privateKey, publicKey }));
  } catch (cause) {
    throw new SealOpenError('the shared secret', { cause });
  }
}

function x25519PrivateKeyObject(secret: Uint8Array): KeyObject {
  if (secret.length !== 32) throw new InvalidKeyError('an X25519 secret has 32 bytes');
  return createPrivateKey({ key: Buffer.concat([X25519_PKCS8_HEAD, secret]), format: 'der', type: 'pkcs8' });
}

/** Signature the KMS puts on an app's env public key; with a timestamp (seconds) the v1 form, without the legacy one. */
export function signEnvPublicKey(
  root: RootKeys,
  appId: Uint8Array,
  envPublicKey: Uint8Array,
  timestampSeconds?: number,
): Uint8Array {
  return root.useK256Scalar((k256) => signK256Keccak(k256, envKeyStatement(appId, envPublicKey, timestampSeconds)));
}

/** Who signed an env public key (compressed, 33 bytes); undefined when nobody did or the timestamp is out of its window. */
export function recoverEnvKeySigner(options: {
  readonly appId: Uint8Array;
  readonly envPublicKey: Uint8Array;
  readonly signature: Uint8Array;
  /** v1 form: signed time and current time, both in seconds. Absent: the legacy form, which never expires. */
  readonly timestamped?: { readonly timestampSeconds: number; readonly nowSeconds: number };
}): Uint8Array | undefined {
  const { timestamped } = options;
  if (timestamped !== undefined) {
    const age = timestamped.nowSeconds - timestamped.timestampSeconds;
    if (age > MAX_AGE_SECONDS || age < -MAX_AHEAD_SECONDS) return undefined;
  }
  const statement = envKeyStatement(options.appId, options.envPublicKey, timestamped?.timestampSeconds);
  return recoverK256Keccak(statement, options.signature);
}

function envKeyStatement(
  appId: Uint8Array,
  envPublicKey: Uint8Array,
  timestampSeconds: number | undefined,
): Uint8Array {
  if (timestampSeconds === undefined) return Buffer.concat([ENV_KEY_TAG, appId, envPublicKey]);
  const time = Buffer.alloc(8);
  time.writeBigUInt64BE(BigInt(timestampSeconds));
  return Buffer.concat([ENV_KEY_TAG, appId, time, envPublicKey]);
}
