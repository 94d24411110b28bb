import type { Receipt } from '@vouch/transparency';

/** What travels on `sealed.<hostId>.<instanceId>`, as JSON: the decision with its proof, and the payload when there is one. */
export interface SealedMessage {
  readonly requestId: string;
  readonly outcome: 'issued' | 'denied';
  /** Holds the exact bytes of the grant event. */
  readonly receipt: Receipt;
  /** Base64. Null for a denial. */
  readonly sealed: { readonly enc: string; readonly ciphertext: string } | null;
  readonly kms: {
    /** DER SubjectPublicKeyInfo, hex. */
    readonly rootCaSpki: string;
    /** Raw Ed25519 key, hex. */
    readonly eventKey: string;
    /** DER ECDSA by the root CA key, base64. */
    readonly endorsement: string;
  };
}
