import { kmsEventKey } from '@vouch/keys';
import type { KmsRoot } from './root-files.js';

/** What a KMS says of itself in public; an operator puts it into the trust file. */
export interface PublicStatement {
  /** DER SubjectPublicKeyInfo of the root CA key, hex, 91 bytes. */
  readonly rootCaSpki: string;
  /** Compressed secp256k1 root public key, hex, 33 bytes. */
  readonly k256Pub: string;
  /** Raw Ed25519 event key, base64url. */
  readonly eventKey: string;
  /** The root CA key's endorsement of the event key: ECDSA DER, base64url. */
  readonly endorsement: string;
}

/** Deterministic: the same root gives the same statement for ever. */
export function publicStatement(root: KmsRoot): PublicStatement {
  const { rawPublicKey, endorsement } = kmsEventKey(root.keys);
  return {
    rootCaSpki: Buffer.from(root.keys.caSpki).toString('hex'),
    k256Pub: Buffer.from(root.keys.k256PublicKey).toString('hex'),
    eventKey: Buffer.from(rawPublicKey).toString('base64url'),
    endorsement: Buffer.from(endorsement).toString('base64url'),
  };
}
