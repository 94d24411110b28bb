import { kmsEventKey } from '@vouch/keys';
import type { KmsRoot } from './root-files.js';

/** What a root says of itself in public. */
export interface RootStatement {
  readonly keyEpoch: number;
  /** DER SubjectPublicKeyInfo of the root CA key, hex, 91 bytes. */
  readonly rootCaSpki: string;
  /** Compressed secp256k1 root public key, hex, 33 bytes. */
  readonly k256Pub: string;
  /** Raw Ed25519 event key, base64url. */
  readonly eventKey: string;
  /** The root CA key's endorsement of the event key: ECDSA DER, base64url. */
  readonly endorsement: string;
}

/** What a KMS says of itself in public; an operator puts it into the trust file: its first root, and those of later key epochs. */
export interface PublicStatement extends RootStatement {
  readonly later: readonly RootStatement[];
}

/** Deterministic: the same root gives the same statement for ever. */
export function rootStatement({ keys, keyEpoch }: KmsRoot): RootStatement {
  const { rawPublicKey, endorsement } = kmsEventKey(keys);
  return {
    keyEpoch,
    rootCaSpki: Buffer.from(keys.caSpki).toString('hex'),
    k256Pub: Buffer.from(keys.k256PublicKey).toString('hex'),
    eventKey: Buffer.from(rawPublicKey).toString('base64url'),
    endorsement: Buffer.from(endorsement).toString('base64url'),
  };
}

/** `roots`: ascending by key epoch, the first is epoch 0. */
export function publicStatement([first, ...later]: readonly [KmsRoot, ...KmsRoot[]]): PublicStatement {
  return { ...rootStatement(first), later: later.map(rootStatement) };
}
