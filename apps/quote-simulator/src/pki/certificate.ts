import { createHash, createPublicKey, type KeyObject, randomBytes, X509Certificate } from 'node:crypto';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import {
  AuthorityKeyIdentifier,
  BasicConstraints,
  Certificate,
  CRLDistributionPoints,
  DistributionPoint,
  DistributionPointName,
  Extension,
  Extensions,
  GeneralName,
  KeyIdentifier,
  KeyUsage,
  KeyUsageFlags,
  SubjectKeyIdentifier,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
  Version,
} from '@peculiar/asn1-x509';
import { simulatorName } from './distinguished-name.js';
import { arrayBufferOf, ecdsaWithSha256, signDer } from './x509-signature.js';

/** A key that signs, and the common name it signs under. */
export interface Signer {
  readonly commonName: string;
  readonly privateKey: KeyObject;
}

export interface CertificateRequest {
  readonly commonName: string;
  readonly publicKey: KeyObject;
  readonly issuer: Signer;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** Certificates below a CA, or null for an end entity. */
  readonly pathLength: number | null;
  /** DER of the SGX extension (PCK leaf only). */
  readonly sgxExtension?: ArrayBuffer;
}

/** Certificates name where their CRL lies; the reserved top-level domain makes sure nobody asks a real host. */
const CRL_BASE = 'https://quote-simulator.invalid/sgx/certification/v4';
const OID = {
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  basicConstraints: '2.5.29.19',
  crlDistributionPoints: '2.5.29.31',
  authorityKeyIdentifier: '2.5.29.35',
  sgx: '1.2.840.113741.1.13.1',
} as const;

/**
 * Issues a P-256 certificate with the extensions Intel's verifier requires of every DCAP certificate: AKI, SKI, CRL
 * distribution point, key usage, basic constraints (attestation §2). Returns PEM.
 */
export function issueCertificate(request: CertificateRequest): string {
  const spki = request.publicKey.export({ format: 'der', type: 'spki' });
  const isCa = request.pathLength !== null;
  const usage = isCa
    ? KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign
    : KeyUsageFlags.digitalSignature | KeyUsageFlags.nonRepudiation;
  const constraints = isCa
    ? new BasicConstraints({ cA: true, pathLenConstraint: request.pathLength })
    : new BasicConstraints({ cA: false });
  const extensions = [
    extension(OID.authorityKeyIdentifier, false, authorityKeyIdentifier(request.issuer.privateKey)),
    extension(OID.crlDistributionPoints, false, AsnConvert.serialize(distributionPoints(request.issuer.commonName))),
    extension(OID.subjectKeyIdentifier, false, AsnConvert.serialize(new SubjectKeyIdentifier(keyIdentifier(spki)))),
    extension(OID.keyUsage, true, AsnConvert.serialize(new KeyUsage(usage))),
    extension(OID.basicConstraints, true, AsnConvert.serialize(constraints)),
  ];
  if (request.sgxExtension !== undefined) extensions.push(extension(OID.sgx, false, request.sgxExtension));
  const tbsCertificate = new TBSCertificate({
    version: Version.v3,
    serialNumber: randomSerial(),
    signature: ecdsaWithSha256(),
    issuer: simulatorName(request.issuer.commonName),
    validity: new Validity({ notBefore: request.notBefore, notAfter: request.notAfter }),
    subject: simulatorName(request.commonName),
    subjectPublicKeyInfo: AsnConvert.parse(arrayBufferOf(spki), SubjectPublicKeyInfo),
    extensions: new Extensions(extensions),
  });
  const certificate = new Certificate({
    tbsCertificate,
    signatureAlgorithm: ecdsaWithSha256(),
    signatureValue: signDer(AsnConvert.serialize(tbsCertificate), request.issuer.privateKey),
  });
  return new X509Certificate(new Uint8Array(AsnConvert.serialize(certificate))).toString();
}

/** AKI extension value naming the key of `issuer`: the SHA-1 of its public key bits (RFC 5280 §4.2.1.2 method 1). */
export function authorityKeyIdentifier(issuer: KeyObject): ArrayBuffer {
  const spki = createPublicKey(issuer).export({ format: 'der', type: 'spki' });
  return AsnConvert.serialize(new AuthorityKeyIdentifier({ keyIdentifier: new KeyIdentifier(keyIdentifier(spki)) }));
}

export function extension(extnID: string, critical: boolean, value: ArrayBuffer): Extension {
  return new Extension({ extnID, critical, extnValue: new OctetString(value) });
}

function keyIdentifier(spki: Uint8Array): ArrayBuffer {
  const { subjectPublicKey } = AsnConvert.parse(arrayBufferOf(spki), SubjectPublicKeyInfo);
  return arrayBufferOf(createHash('sha1').update(new Uint8Array(subjectPublicKey)).digest());
}

function distributionPoints(issuerCommonName: string): CRLDistributionPoints {
  const path = issuerCommonName.includes('Root') ? 'rootcacrl' : 'pckcrl';
  const fullName = [new GeneralName({ uniformResourceIdentifier: `${CRL_BASE}/${path}` })];
  return new CRLDistributionPoints([
    new DistributionPoint({ distributionPoint: new DistributionPointName({ fullName }) }),
  ]);
}

/** 20 random bytes, positive and without a leading zero byte. */
function randomSerial(): ArrayBuffer {
  const serial = randomBytes(20);
  serial.writeUInt8((serial.readUInt8(0) & 0x7f) | 0x40, 0);
  return arrayBufferOf(serial);
}
