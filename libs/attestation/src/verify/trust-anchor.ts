/** A root certificate to trust; build it with `trustAnchorFromPem` or `trustAnchorFromDer`. */
export interface TrustAnchor {
  /** Subject common name, for reports only: it is never what trust rests on. */
  readonly name: string;
  /** SHA-256 of the DER certificate, lower-case hex. */
  readonly fingerprint: string;
  readonly der: Uint8Array;
}

/** The pinned Intel SGX Root CA. */
export const INTEL_SGX_ROOT: TrustAnchor = { name: 'Intel SGX Root CA', fingerprint: '', der: new Uint8Array() };

/** @throws InvalidTrustAnchorError when the text holds not exactly one P-256 CA certificate. */
export function trustAnchorFromPem(_pem: string): TrustAnchor {
  throw new Error('not implemented');
}

export function trustAnchorFromDer(_der: Uint8Array): TrustAnchor {
  throw new Error('not implemented');
}
