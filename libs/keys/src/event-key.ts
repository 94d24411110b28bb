import { createPrivateKey, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { p256 } from '@noble/curves/nist.js';
import { deriveKey } from './derive.js';
import { deriveEpochKey } from './epoch-derive.js';
import { InvalidKeyError } from './errors.js';
import { p256PublicKey } from './p256.js';
import type { RootKeys } from './root-keys.js';

const ED25519_PKCS8_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex');
const ENDORSEMENT_CONTEXT = Buffer.from('vouch-kms-event-key-v1\n');

/** The KMS's event-signing key: it follows from the root, so that every replica of one root writes as one author. */
export interface KmsEventKey {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  /** Raw Ed25519 public key, 32 bytes. */
  readonly rawPublicKey: Uint8Array;
  /** Root CA signature over "vouch-kms-event-key-v1\n" || raw key: ECDSA P-256/SHA-256, DER, deterministic (RFC 6979). */
  readonly endorsement: Uint8Array;
}

/**
 * Derives the event key: Ed25519 seed = deriveKey(root CA scalar, ["vouch-kms-event-key"], 32), in later epochs
 * deriveEpochKey with that purpose.
 */
export function kmsEventKey(root: RootKeys): KmsEventKey {
  const privateKey = root.useCaScalar((ca) => {
    const seed = eventKeySeed(ca, root.keyEpoch);
    const der = Buffer.concat([ED25519_PKCS8_HEAD, seed]);
    try {
      return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
    } finally {
      seed.fill(0);
      der.fill(0);
    }
  });
  const publicKey = createPublicKey(privateKey);
  const rawPublicKey = rawEd25519(publicKey);
  return { privateKey, publicKey, rawPublicKey, endorsement: endorseEventKey(root, rawPublicKey) };
}

/**
 * The root CA key's word that this raw Ed25519 key writes for the KMS; see {@link KmsEventKey.endorsement}. The root of one
 * key epoch endorses the event key of another, so that a grant of the new epoch leads to the new root whoever signed it.
 */
export function endorseEventKey(root: RootKeys, rawPublicKey: Uint8Array): Uint8Array {
  const message = Buffer.concat([ENDORSEMENT_CONTEXT, rawPublicKey]);
  return root.useCaScalar((ca) => p256.sign(message, ca, { format: 'der', lowS: true }));
}

function eventKeySeed(ca: Uint8Array, keyEpoch: number): Uint8Array {
  const purpose = 'vouch-kms-event-key';
  return keyEpoch === 0 ? deriveKey(ca, [purpose], 32) : deriveEpochKey(ca, { keyEpoch, purpose, parts: [] }, 32);
}

/** True when the root CA key (91-byte SPKI) endorsed this raw Ed25519 key. Throws InvalidKeyError for a bad root key. */
export function verifyEndorsement(options: {
  readonly rootCaSpki: Uint8Array;
  readonly eventKey: Uint8Array;
  readonly endorsement: Uint8Array;
}): boolean {
  const root = p256PublicKey(options.rootCaSpki);
  if (options.eventKey.length !== 32) return false;
  return verify('sha256', Buffer.concat([ENDORSEMENT_CONTEXT, options.eventKey]), root, options.endorsement);
}

function rawEd25519(publicKey: KeyObject): Uint8Array {
  const { x } = publicKey.export({ format: 'jwk' });
  if (x === undefined) throw new InvalidKeyError('an Ed25519 key is required');
  return Buffer.from(x, 'base64url');
}
