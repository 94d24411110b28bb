import { createHash, type KeyObject, sign } from 'node:crypto';
import { isIP } from 'node:net';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  AuthorityKeyIdentifier,
  BasicConstraints,
  Certificate,
  ExtendedKeyUsage,
  Extension,
  Extensions,
  GeneralName,
  id_ce_authorityKeyIdentifier,
  id_ce_basicConstraints,
  id_ce_extKeyUsage,
  id_ce_keyUsage,
  id_ce_subjectAltName,
  id_ce_subjectKeyIdentifier,
  id_kp_clientAuth,
  id_kp_serverAuth,
  KeyIdentifier,
  KeyUsage,
  KeyUsageFlags,
  Name,
  RelativeDistinguishedName,
  SubjectAlternativeName,
  SubjectKeyIdentifier,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
  Version,
} from '@peculiar/asn1-x509';
import type { CertificateUsage } from '../certificate-request.js';
import { p256PointOf } from '../p256.js';

const ECDSA_WITH_SHA256 = '1.2.840.10045.4.3.2';
const ORGANIZATION = '2.5.4.10';
const COMMON_NAME = '2.5.4.3';
const KEY_ID_BYTES = 20;

/** A minted certificate: DER, and PEM with a final line feed. */
export interface MintedCertificate {
  readonly der: Uint8Array;
  readonly pem: string;
  /** Lower-case hex of the serial number's bytes. */
  readonly serial: string;
  /** SHA-256 of the DER, lower-case hex. */
  readonly fingerprint: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/** O (optional) then CN, as dstack orders them; an empty common name is left out. */
export interface DistinguishedName {
  readonly organization?: string;
  readonly commonName: string;
}

/** An extension outside the profiles: its content is wrapped in a DER OCTET STRING inside extnValue (dstack-kms §8). */
export interface WrappedExtension {
  readonly oid: string;
  readonly content: Uint8Array;
}

export interface CertificateProfile {
  readonly subject: DistinguishedName;
  readonly subjectSpki: Uint8Array;
  readonly issuer: DistinguishedName;
  readonly issuerSpki: Uint8Array;
  readonly issuerKey: KeyObject;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** A CA with this path length, or a leaf. */
  readonly ca?: { readonly pathLength: number };
  readonly usages?: readonly CertificateUsage[];
  /** DNS names; text that parses as an IP address becomes an iPAddress. */
  readonly altNames?: readonly string[];
  readonly wrappedExtensions?: readonly WrappedExtension[];
  /** Leaves of dstack's profile carry neither key identifier; certificates for browsers and curl carry both. */
  readonly keyIdentifiers?: 'dstack' | 'full';
}

/** Builds and signs an X.509 v3 certificate: ECDSA P-256/SHA-256, DER. Throws InvalidKeyError for a bad public key. */
export function mintCertificate(profile: CertificateProfile): MintedCertificate {
  const algorithm = new AlgorithmIdentifier({ algorithm: ECDSA_WITH_SHA256 });
  const serial = serialOf(profile.subjectSpki);
  const tbs = new TBSCertificate({
    version: Version.v3,
    serialNumber: exact(serial),
    signature: algorithm,
    issuer: nameOf(profile.issuer),
    validity: new Validity({ notBefore: profile.notBefore, notAfter: profile.notAfter }),
    subject: nameOf(profile.subject),
    subjectPublicKeyInfo: AsnConvert.parse(exact(profile.subjectSpki), SubjectPublicKeyInfo),
    extensions: new Extensions(extensionsOf(profile)),
  });
  const signatureValue = sign('sha256', Buffer.from(AsnConvert.serialize(tbs)), profile.issuerKey);
  const der = new Uint8Array(
    AsnConvert.serialize(
      new Certificate({ tbsCertificate: tbs, signatureAlgorithm: algorithm, signatureValue: exact(signatureValue) }),
    ),
  );
  return {
    der,
    pem: pemOf(der),
    serial: Buffer.from(serial).toString('hex'),
    fingerprint: createHash('sha256').update(der).digest('hex'),
    notBefore: profile.notBefore,
    notAfter: profile.notAfter,
  };
}

/** Not by way of node's X509Certificate: given DER, it takes the first PEM block inside, and quotes carry whole PEM chains. */
function pemOf(der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}

/** rcgen's serial: SHA-256(uncompressed point)[0..20] with the top bit cleared; minimal as a DER INTEGER. */
function serialOf(spki: Uint8Array): Uint8Array {
  const digest = createHash('sha256').update(p256PointOf(spki)).digest().subarray(0, KEY_ID_BYTES);
  digest.writeUInt8(digest.readUInt8(0) & 0x7f, 0);
  let start = 0;
  while (start < digest.length - 1 && digest[start] === 0 && digest.readUInt8(start + 1) < 0x80) start += 1;
  return digest.subarray(start);
}

function extensionsOf(profile: CertificateProfile): Extension[] {
  const { ca, usages = [], altNames = [], wrappedExtensions = [], keyIdentifiers = 'dstack' } = profile;
  const list: Extension[] = [];
  if (keyIdentifiers === 'full') {
    const keyIdentifier = new KeyIdentifier(exact(keyIdOf(profile.issuerSpki)));
    list.push(extension(id_ce_authorityKeyIdentifier, false, new AuthorityKeyIdentifier({ keyIdentifier })));
  }
  if (altNames.length > 0) {
    list.push(extension(id_ce_subjectAltName, false, new SubjectAlternativeName(altNames.map(generalName))));
  }
  const flags = ca === undefined ? 0 : KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign;
  list.push(extension(id_ce_keyUsage, true, new KeyUsage(KeyUsageFlags.digitalSignature | flags)));
  if (usages.length > 0) {
    const purposes = usages.map((usage) => (usage === 'serverAuth' ? id_kp_serverAuth : id_kp_clientAuth));
    list.push(extension(id_ce_extKeyUsage, false, new ExtendedKeyUsage(purposes)));
  }
  if (ca !== undefined || keyIdentifiers === 'full') {
    const id = new SubjectKeyIdentifier(exact(keyIdOf(profile.subjectSpki)));
    list.push(extension(id_ce_subjectKeyIdentifier, false, id));
  }
  if (ca !== undefined) {
    const constraints = new BasicConstraints({ cA: true, pathLenConstraint: ca.pathLength });
    list.push(extension(id_ce_basicConstraints, true, constraints));
  }
  for (const { oid, content } of wrappedExtensions) list.push(extension(oid, false, new OctetString(exact(content))));
  return list;
}

/** Key identifier of the dstack profile: SHA-256(SubjectPublicKeyInfo DER)[0..20]. */
function keyIdOf(spki: Uint8Array): Uint8Array {
  return createHash('sha256').update(spki).digest().subarray(0, KEY_ID_BYTES);
}

function generalName(name: string): GeneralName {
  return isIP(name) === 0 ? new GeneralName({ dNSName: name }) : new GeneralName({ iPAddress: name });
}

function extension(extnID: string, critical: boolean, value: unknown): Extension {
  return new Extension({ extnID, critical, extnValue: new OctetString(AsnConvert.serialize(value)) });
}

function nameOf({ organization, commonName }: DistinguishedName): Name {
  const parts: RelativeDistinguishedName[] = [];
  if (organization !== undefined) parts.push(attribute(ORGANIZATION, organization));
  if (commonName !== '') parts.push(attribute(COMMON_NAME, commonName));
  return new Name(parts);
}

function attribute(type: string, text: string): RelativeDistinguishedName {
  return new RelativeDistinguishedName([
    new AttributeTypeAndValue({ type, value: new AttributeValue({ utf8String: text }) }),
  ]);
}

function exact(bytes: Uint8Array): ArrayBuffer {
  return Uint8Array.from(bytes).buffer;
}
