import { deriveDhSecret, deriveKey, deriveP256 } from './derive.js';
import { x25519PublicKey } from './env-key.js';
import { deriveEpochKey, deriveEpochScalar } from './epoch-derive.js';
import { InvalidKeyError } from './errors.js';
import { assertK256Scalar, isK256Scalar, k256PublicKey, recoverK256Keccak, signK256Keccak } from './k256.js';
import { isP256Scalar, type P256Key, p256FromScalar } from './p256.js';
import type { RootKeys } from './root-keys.js';

const APP_ID_BYTES = 20;

/** Everything one attested instance receives, and the public halves. All 32 bytes unless stated. */
export interface AppKeys {
  readonly diskCryptKey: Uint8Array;
  /** X25519 secret, unclamped. */
  readonly envCryptKey: Uint8Array;
  readonly envPublicKey: Uint8Array;
  /** secp256k1 scalar. */
  readonly k256Key: Uint8Array;
  /** Compressed, 33 bytes. */
  readonly k256PublicKey: Uint8Array;
  /** 65 bytes by the root k256 key: see {@link appKeyStatement}. */
  readonly k256Signature: Uint8Array;
}

/**
 * The keys of an app (and, for the disk key, of an instance) in the root's key epoch: as dstack's KMS derives them
 * (dstack-kms §7) in epoch 0, by {@link deriveEpochKey} from 1 on. `appId` has 20 bytes; `instanceId` has 20, or 0 for apps
 * without an instance id. Throws InvalidKeyError.
 */
export function deriveAppKeys(root: RootKeys, appId: Uint8Array, instanceId: Uint8Array): AppKeys {
  const envCryptKey = deriveEnvCryptKey(root, appId);
  const k256Key = deriveAppK256Key(root, appId);
  const publicKey = k256PublicKey(k256Key);
  return {
    diskCryptKey: deriveDiskCryptKey(root, appId, instanceId),
    envCryptKey,
    envPublicKey: x25519PublicKey(envCryptKey),
    k256Key,
    k256PublicKey: publicKey,
    k256Signature: signAppKey(root, appId, publicKey),
  };
}

/** Disk key of an instance, 32 bytes; see {@link deriveAppKeys}. */
export function deriveDiskCryptKey(root: RootKeys, appId: Uint8Array, instanceId: Uint8Array): Uint8Array {
  assertAppId(appId);
  if (instanceId.length !== 0 && instanceId.length !== APP_ID_BYTES) {
    throw new InvalidKeyError('an instance id has 20 bytes (or none)');
  }
  const { keyEpoch } = root;
  const purpose = 'app-disk-crypt-key';
  return root.useCaScalar((ca) =>
    keyEpoch === 0
      ? deriveDhSecret(ca, [appId, instanceId, purpose])
      : deriveEpochKey(ca, { keyEpoch, purpose, parts: [appId, instanceId] }, 32),
  );
}

/** X25519 secret of an app's encrypted environment. */
export function deriveEnvCryptKey(root: RootKeys, appId: Uint8Array): Uint8Array {
  assertAppId(appId);
  const { keyEpoch } = root;
  const purpose = 'env-encrypt-key';
  return root.useCaScalar((ca) =>
    keyEpoch === 0
      ? deriveDhSecret(ca, [appId, purpose])
      : deriveEpochKey(ca, { keyEpoch, purpose, parts: [appId] }, 32),
  );
}

/** The app's secp256k1 scalar. */
export function deriveAppK256Key(root: RootKeys, appId: Uint8Array): Uint8Array {
  assertAppId(appId);
  const { keyEpoch } = root;
  const purpose = 'app-key';
  return root.useK256Scalar((k256) => {
    if (keyEpoch > 0) return deriveEpochScalar(k256, { keyEpoch, purpose, parts: [appId] }, isK256Scalar);
    const scalar = deriveKey(k256, [appId, purpose], 32);
    assertK256Scalar(scalar);
    return scalar;
  });
}

/** The root's signature that a secp256k1 key (compressed) is this app's: 65 bytes over {@link appKeyStatement}. */
export function signAppKey(root: RootKeys, appId: Uint8Array, publicKey: Uint8Array): Uint8Array {
  return root.useK256Scalar((k256) => signK256Keccak(k256, appKeyStatement(appId, publicKey)));
}

/** The app's CA key: deterministic, while its certificate may be minted again. */
export function deriveAppCaKey(root: RootKeys, appId: Uint8Array): P256Key {
  assertAppId(appId);
  const { keyEpoch } = root;
  const purpose = 'app-ca';
  return root.useCaScalar((ca) => {
    if (keyEpoch === 0) return deriveP256(ca, [appId, purpose]);
    const scalar = deriveEpochScalar(ca, { keyEpoch, purpose, parts: [appId] }, isP256Scalar);
    try {
      return p256FromScalar(scalar);
    } finally {
      scalar.fill(0);
    }
  });
}

/**
 * Key of the CA that dstack guests sign their client certificates with. It is handed out to everyone; deriving it keeps
 * replicas equal without storing it. No app key has this context: theirs end in "app-ca", "…-key" and the like.
 */
export function deriveTempCaKey(root: RootKeys): P256Key {
  return root.useCaScalar((ca) => deriveP256(ca, ['vouch-dstack-client-temp-ca-v1']));
}

/** What k256_signature signs: "dstack-kms-issued" ":" app id (20) compressed public key (33). */
export function appKeyStatement(appId: Uint8Array, publicKey: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from('dstack-kms-issued:'), appId, publicKey]);
}

/** True when the KMS whose compressed secp256k1 root key is given issued this app key to this app. */
export function verifyAppKeySignature(options: {
  readonly kmsK256PublicKey: Uint8Array;
  readonly appId: Uint8Array;
  readonly appPublicKey: Uint8Array;
  readonly signature: Uint8Array;
}): boolean {
  const signer = recoverK256Keccak(appKeyStatement(options.appId, options.appPublicKey), options.signature);
  return signer !== undefined && Buffer.compare(signer, options.kmsK256PublicKey) === 0;
}

function assertAppId(appId: Uint8Array): void {
  if (appId.length !== APP_ID_BYTES) throw new InvalidKeyError('an app id has 20 bytes');
}
