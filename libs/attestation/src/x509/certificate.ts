import { Refusal } from '../refusal.js';
import { DER, DerReader } from './der-reader.js';
import { OID } from './object-identifiers.js';
import { pointOfSpki } from './p256.js';

/** X.509 v3 certificate with a P-256 key, signed with ecdsa-with-SHA256 (RFC 5280): the fields a DCAP chain uses. */
export interface Certificate {
  readonly der: Uint8Array;
  /** Exact signed bytes. */
  readonly tbs: Uint8Array;
  /** DER ECDSA signature. */
  readonly signature: Uint8Array;
  /** Hex without leading zero bytes. */
  readonly serial: string;
  /** Exact encoded names. */
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  readonly commonName: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** x ‖ y, 64 bytes. */
  readonly publicPoint: Uint8Array;
  readonly isCa: boolean;
  /** Null when unlimited or not a CA. */
  readonly pathLength: number | null;
  readonly keyUsage: KeyUsage;
  /** Extension values (content of the OCTET STRING) by OID hex. */
  readonly extensions: ReadonlyMap<string, Uint8Array>;
}

interface KeyUsage {
  readonly digitalSignature: boolean;
  readonly keyCertSign: boolean;
  readonly crlSign: boolean;
}

/** Extensions every certificate of Intel's PKI must carry. */
const REQUIRED = {
  'authority key identifier': OID.authorityKeyId,
  'subject key identifier': OID.subjectKeyId,
  'CRL distribution points': OID.crlDistributionPoints,
  'key usage': OID.keyUsage,
  'basic constraints': OID.basicConstraints,
} as const;

/** Critical extensions that are understood; any other one refuses the certificate (RFC 5280 §4.2). */
const UNDERSTOOD: ReadonlySet<string> = new Set([...Object.values(REQUIRED), OID.sgxExtension]);

/** @throws Refusal `DER_FORMAT`, `KEY_INVALID` or `CERTIFICATE_FORMAT`; nothing is verified here. */
export function parseCertificate(der: Uint8Array): Certificate {
  const file = new DerReader(der);
  const outer = file.enter(DER.sequence, 'certificate');
  file.expectEnd('certificate');
  const tbs = outer.next(DER.sequence, 'signed certificate');
  readAlgorithm(outer, 'signature algorithm');
  const signature = outer.bits('signature');
  outer.expectEnd('certificate');
  const body = new DerReader(tbs.content);
  const version = body.enter(DER.context0, 'version').smallInteger('version', 2);
  if (version !== 2) throw new Refusal('CERTIFICATE_FORMAT', 'the certificate is not X.509 version 3');
  const serial = body.integerHex('serial number');
  readAlgorithm(body, 'signed signature algorithm');
  const issuer = body.next(DER.sequence, 'issuer').encoded;
  const validity = body.enter(DER.sequence, 'validity');
  const [notBefore, notAfter] = [validity.time('notBefore'), validity.time('notAfter')];
  validity.expectEnd('validity');
  const subject = body.next(DER.sequence, 'subject');
  const spki = body.next(DER.sequence, 'public key').encoded;
  const extensions = readExtensions(body.enter(DER.context3, 'extensions'), UNDERSTOOD);
  body.expectEnd('signed certificate');
  return {
    der,
    tbs: tbs.encoded,
    signature,
    serial,
    issuer,
    subject: subject.encoded,
    commonName: readCommonName(subject.content),
    notBefore,
    notAfter,
    publicPoint: pointOfSpki(spki),
    ...readConstraints(extensions),
    keyUsage: readKeyUsage(extensions),
    extensions,
  };
}

/** Only ecdsa-with-SHA256 without parameters is accepted. */
export function readAlgorithm(reader: DerReader, field: string): void {
  const algorithm = reader.enter(DER.sequence, field);
  if (algorithm.oid(field) !== OID.ecdsaWithSha256) {
    throw new Refusal('CERTIFICATE_FORMAT', `${field} is not ecdsa-with-SHA256`);
  }
  algorithm.expectEnd(field);
}

/** Reads `[n] { SEQUENCE OF Extension }`; duplicates and critical extensions that are not understood are refused. */
export function readExtensions(wrapper: DerReader, understood: ReadonlySet<string>): ReadonlyMap<string, Uint8Array> {
  const list = wrapper.enter(DER.sequence, 'extensions');
  wrapper.expectEnd('extensions');
  const extensions = new Map<string, Uint8Array>();
  while (!list.atEnd) {
    const entry = list.enter(DER.sequence, 'extension');
    const oid = entry.oid('extension id');
    const critical = entry.peekTag() === DER.boolean && entry.boolean('critical');
    const value = entry.next(DER.octetString, 'extension value').content;
    entry.expectEnd('extension');
    if (extensions.has(oid)) throw new Refusal('CERTIFICATE_FORMAT', `extension ${oid} stands twice`);
    if (critical && !understood.has(oid)) {
      throw new Refusal('CERTIFICATE_FORMAT', `critical extension ${oid} is not understood`);
    }
    extensions.set(oid, value);
  }
  return extensions;
}

function readConstraints(extensions: ReadonlyMap<string, Uint8Array>): Pick<Certificate, 'isCa' | 'pathLength'> {
  for (const [name, oid] of Object.entries(REQUIRED)) {
    if (!extensions.has(oid)) throw new Refusal('CERTIFICATE_FORMAT', `the certificate has no ${name} extension`);
  }
  const outer = new DerReader(extensions.get(OID.basicConstraints) ?? new Uint8Array());
  const constraints = outer.enter(DER.sequence, 'basic constraints');
  outer.expectEnd('basic constraints');
  const isCa = constraints.peekTag() === DER.boolean && constraints.boolean('cA');
  const pathLength = constraints.atEnd ? null : constraints.smallInteger('path length', 255);
  constraints.expectEnd('basic constraints');
  return { isCa, pathLength };
}

function readKeyUsage(extensions: ReadonlyMap<string, Uint8Array>): KeyUsage {
  const reader = new DerReader(extensions.get(OID.keyUsage) ?? new Uint8Array());
  const { content } = reader.next(DER.bitString, 'key usage');
  reader.expectEnd('key usage');
  const flags = content[1] ?? 0;
  return {
    digitalSignature: (flags & 0x80) !== 0,
    keyCertSign: (flags & 0x04) !== 0,
    crlSign: (flags & 0x02) !== 0,
  };
}

/** The last common name of a Name, or empty. */
function readCommonName(name: Uint8Array): string {
  const sets = new DerReader(name);
  let commonName = '';
  while (!sets.atEnd) {
    const set = sets.enter(DER.set, 'relative name');
    while (!set.atEnd) {
      const attribute = set.enter(DER.sequence, 'name attribute');
      const oid = attribute.oid('name attribute type');
      const value = attribute.any('name attribute value').content;
      if (oid === OID.commonName) commonName = Buffer.from(value).toString('utf8');
    }
  }
  return commonName;
}

/** Names a certificate in messages. */
export function describeCertificate(certificate: Certificate): string {
  return `"${certificate.commonName}" (serial ${certificate.serial})`;
}
