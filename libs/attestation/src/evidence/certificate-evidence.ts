import { equalBytes } from '../bytes.js';
import { Refusal } from '../refusal.js';
import { readExtensions } from '../x509/certificate.js';
import { DER, DerReader } from '../x509/der-reader.js';
import { OID } from '../x509/object-identifiers.js';

/** Extensions of dstack's RA-TLS certificates (dstack-kms §8), OBJECT IDENTIFIER contents as hex. */
const RATLS = {
  /** 1.3.6.1.4.1.62397.1.1: raw TDX quote. */
  quote: '2b0601040183e73d0101',
  /** .2: event log, JSON. */
  eventLog: '2b0601040183e73d0102',
  /** .8: VersionedAttestation. */
  attestation: '2b0601040183e73d0108',
} as const;

const UNDERSTOOD: ReadonlySet<string> = new Set([OID.keyUsage, OID.basicConstraints, '551d25', '551d11']);

/** What an RA-TLS certificate carries. `.8` is preferred; `.1` and `.2` are the older form. */
export type CertificateEvidence = { readonly publicKey: Uint8Array } & (
  | { readonly attestation: Uint8Array }
  | { readonly quote: Uint8Array; readonly eventLog: string | null }
);

/**
 * Reads the RA-TLS extensions of an X.509 certificate and its SubjectPublicKeyInfo; null when it carries no evidence.
 * Neither its signature nor its dates are looked at: what makes the key genuine is the report data of the quote.
 * @throws Refusal `DER_FORMAT` or `CERTIFICATE_FORMAT`
 */
export function readCertificateEvidence(der: Uint8Array): CertificateEvidence | null {
  const { publicKey, extensions } = readCertificate(der);
  const attestation = extensions.get(RATLS.attestation);
  if (attestation !== undefined) return { publicKey, attestation: unwrap(attestation) };
  const quote = extensions.get(RATLS.quote);
  if (quote === undefined) return null;
  const log = extensions.get(RATLS.eventLog);
  return { publicKey, quote: unwrap(quote), eventLog: log === undefined ? null : text(unwrap(log)) };
}

function readCertificate(der: Uint8Array): { publicKey: Uint8Array; extensions: ReadonlyMap<string, Uint8Array> } {
  const file = new DerReader(der);
  const outer = file.enter(DER.sequence, 'certificate');
  file.expectEnd('certificate');
  const body = outer.enter(DER.sequence, 'signed certificate');
  body.optional(DER.context0, 'version');
  body.next(DER.integer, 'serial number');
  for (const field of ['signature algorithm', 'issuer', 'validity', 'subject']) body.next(DER.sequence, field);
  const publicKey = body.next(DER.sequence, 'public key').encoded;
  const wrapper = body.optional(DER.context3, 'extensions');
  const extensions =
    wrapper === undefined ? new Map<string, Uint8Array>() : readExtensions(new DerReader(wrapper.content), UNDERSTOOD);
  return { publicKey, extensions };
}

/** dstack wraps every extension value in an OCTET STRING of its own. */
function unwrap(value: Uint8Array): Uint8Array {
  const reader = new DerReader(value);
  const { content } = reader.next(DER.octetString, 'extension content');
  reader.expectEnd('extension content');
  return content;
}

function text(bytes: Uint8Array): string {
  const decoded = Buffer.from(bytes).toString('utf8');
  if (!equalBytes(Buffer.from(decoded, 'utf8'), bytes)) {
    throw new Refusal('CERTIFICATE_FORMAT', 'the event log extension is not UTF-8');
  }
  return decoded;
}
