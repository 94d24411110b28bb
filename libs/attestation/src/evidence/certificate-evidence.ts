import { readCertificate } from '../ratls/ratls-certificate.js';

/** What an RA-TLS certificate carries. `.8` is preferred; `.1` and `.2` are the older form. */
export type CertificateEvidence = { readonly publicKey: Uint8Array } & (
  | { readonly attestation: Uint8Array }
  | { readonly quote: Uint8Array; readonly eventLog: string | null }
);

/**
 * Reads the RA-TLS extensions of an X.509 certificate and its SubjectPublicKeyInfo; null when it carries no evidence.
 * Neither its signature nor its dates are looked at: what makes the key genuine is the report data of the quote.
 * @throws Refusal `DER_FORMAT`, `CERTIFICATE_FORMAT` or `RATLS_FORMAT`
 */
export function readCertificateEvidence(der: Uint8Array): CertificateEvidence | null {
  const { publicKey, ratls } = readCertificate(der);
  if (ratls.attestation !== undefined) return { publicKey, attestation: ratls.attestation };
  return ratls.quote === undefined ? null : { publicKey, quote: ratls.quote, eventLog: ratls.eventLog ?? null };
}
