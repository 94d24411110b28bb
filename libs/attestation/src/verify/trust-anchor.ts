import { equalBytes, hashBytes, toHex } from '../bytes.js';
import { Refusal } from '../refusal.js';
import { type Certificate, parseCertificate } from '../x509/certificate.js';
import { isSignedBy } from '../x509/chain.js';
import { decodePemCertificates } from '../x509/pem.js';
import { INTEL_SGX_ROOT_PEM } from './intel-sgx-root.js';

/** A root certificate to trust; build it with `trustAnchorFromPem` or `trustAnchorFromDer`. */
export interface TrustAnchor {
  /** Subject common name, for reports only: it is never what trust rests on. */
  readonly name: string;
  /** SHA-256 of the DER certificate, lower-case hex. */
  readonly fingerprint: string;
  readonly der: Uint8Array;
}

/** A trust anchor was configured that is not one self-signed P-256 CA certificate. Not retryable. */
export class InvalidTrustAnchorError extends Error {
  readonly code = 'TRUST_ANCHOR_INVALID';
  readonly retryable = false;
  constructor(reason: string, options?: { cause?: unknown }) {
    super(`the trust anchor must be one self-signed P-256 CA certificate: ${reason}`, options);
    this.name = 'InvalidTrustAnchorError';
  }
}

/** @throws InvalidTrustAnchorError */
export function trustAnchorFromPem(pem: string): TrustAnchor {
  const certificates = parsed(() => decodePemCertificates(pem, 'the PEM text'));
  const [der] = certificates;
  if (der === undefined || certificates.length !== 1) {
    throw new InvalidTrustAnchorError(`the PEM text holds ${certificates.length} certificates`);
  }
  return trustAnchorFromDer(der);
}

/** @throws InvalidTrustAnchorError */
export function trustAnchorFromDer(der: Uint8Array): TrustAnchor {
  const certificate = parsed(() => parseCertificate(new Uint8Array(der)));
  if (!certificate.isCa || !parsed(() => isSignedBy(certificate, certificate))) {
    throw new InvalidTrustAnchorError('it is not a CA, or not signed by itself');
  }
  return {
    name: certificate.commonName,
    fingerprint: toHex(hashBytes('sha256', certificate.der)),
    der: certificate.der,
  };
}

function parsed<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof Refusal) throw new InvalidTrustAnchorError(error.message, { cause: error });
    throw error;
  }
}

/** The pinned Intel SGX Root CA: the only anchor by default. */
export const INTEL_SGX_ROOT: TrustAnchor = trustAnchorFromPem(INTEL_SGX_ROOT_PEM);

/**
 * The anchor whose key a chain's root carries. The root may be another certificate over the same key (a renewal), and
 * must then be signed by that key. Names are never compared.
 * @throws Refusal `UNTRUSTED_ROOT`
 */
export function requireAnchor(root: Certificate, anchors: readonly TrustAnchor[], source: string): TrustAnchor {
  for (const anchor of anchors) {
    if (equalBytes(root.der, anchor.der)) return anchor;
    const key = parseCertificate(anchor.der).publicPoint;
    if (equalBytes(root.publicPoint, key) && root.isCa && isSignedBy(root, root)) return anchor;
  }
  throw new Refusal('UNTRUSTED_ROOT', `${source} ends in "${root.commonName}", which is not a trust anchor`);
}
