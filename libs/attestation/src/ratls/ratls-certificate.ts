import { type Decoded, decode } from '../encodings/decoded.js';
import { Refusal } from '../refusal.js';
import { readExtensions } from '../x509/certificate.js';
import { DER, DerReader } from '../x509/der-reader.js';
import { OID } from '../x509/object-identifiers.js';
import { EXTENSION_OID } from './certificate-extensions.js';
import { type RatlsExtensions, readRatlsExtensions } from './ratls-extensions.js';

/** What an RA-TLS certificate says. Nothing is verified: neither its signature, nor its dates, nor its evidence. */
export interface RatlsCertificate {
  /** DER SubjectPublicKeyInfo; genuine evidence binds it: its report data is `ratlsReportData(publicKey)`. */
  readonly publicKey: Uint8Array;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly ratls: RatlsExtensions;
}

/** Critical extensions that may stand in such a certificate; any other one refuses it (RFC 5280 §4.2). */
const UNDERSTOOD: ReadonlySet<string> = new Set([
  OID.keyUsage,
  OID.basicConstraints,
  EXTENSION_OID.extendedKeyUsage,
  EXTENSION_OID.subjectAltName,
]);

/**
 * Reads an X.509 v3 certificate of any key and signature algorithm. Check `ratls.format`; codes `DER_FORMAT`,
 * `CERTIFICATE_FORMAT`, `RATLS_FORMAT`.
 */
export function readRatlsCertificate(der: Uint8Array): Decoded<RatlsCertificate> {
  return decode(
    'ratls.format',
    () => readCertificate(der),
    ({ ratls }) => `extensions ${Object.keys(ratls).join(', ') || '(none)'}`,
  );
}

/** @throws Refusal */
export function readCertificate(der: Uint8Array): RatlsCertificate {
  const file = new DerReader(der);
  const outer = file.enter(DER.sequence, 'certificate');
  file.expectEnd('certificate');
  const body = outer.enter(DER.sequence, 'signed certificate');
  outer.next(DER.sequence, 'signature algorithm');
  outer.bits('signature');
  outer.expectEnd('certificate');
  if (body.enter(DER.context0, 'version').smallInteger('version', 2) !== 2) {
    throw new Refusal('CERTIFICATE_FORMAT', 'the certificate is not X.509 version 3');
  }
  body.next(DER.integer, 'serial number');
  body.next(DER.sequence, 'signed signature algorithm');
  body.next(DER.sequence, 'issuer');
  const validity = body.enter(DER.sequence, 'validity');
  const [notBefore, notAfter] = [validity.time('notBefore'), validity.time('notAfter')];
  validity.expectEnd('validity');
  body.next(DER.sequence, 'subject');
  const publicKey = body.next(DER.sequence, 'public key').encoded;
  const wrapper = body.optional(DER.context3, 'extensions');
  body.expectEnd('signed certificate');
  const extensions = wrapper === undefined ? new Map() : readExtensions(new DerReader(wrapper.content), UNDERSTOOD);
  return { publicKey, notBefore, notAfter, ratls: readRatlsExtensions(extensions) };
}
