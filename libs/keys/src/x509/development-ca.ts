import { X509Certificate } from 'node:crypto';
import { AsnConvert } from '@peculiar/asn1-schema';
import { Certificate } from '@peculiar/asn1-x509';
import { InvalidKeyError } from '../errors.js';
import { generateP256, type P256Key, p256FromPem } from '../p256.js';
import { type DistinguishedName, mintCertificate } from './certificate.js';

const ORGANIZATION = 'Vouch';
const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const CA_DAYS = 3650;
/** Browsers refuse server certificates that live longer than 398 days. */
const SERVER_DAYS = 397;

/** A certificate (PEM; a chain, leaf first, where said) and its private key (PKCS#8 PEM). The key is secret. */
export interface CertificateWithKey {
  readonly certificate: string;
  readonly privateKey: string;
}

/** A fresh self-signed CA for development: path length 0, valid ten years from an hour before `now`. */
export function generateDevelopmentCa(options: {
  readonly commonName: string;
  readonly now: Date;
}): CertificateWithKey {
  const key = generateP256();
  const name = { organization: ORGANIZATION, commonName: options.commonName };
  const { pem } = mintCertificate({
    subject: name,
    subjectSpki: key.spki,
    issuer: name,
    issuerSpki: key.spki,
    issuerKey: key.privateKey,
    ...window(options.now, CA_DAYS),
    ca: { pathLength: 0 },
    keyIdentifiers: 'full',
  });
  return { certificate: pem, privateKey: privateKeyPem(key) };
}

/**
 * A server certificate under a {@link generateDevelopmentCa} CA for the given DNS names (wildcards as `*.example.org`),
 * valid 397 days: serverAuth, SAN, SKI and AKI. The returned chain is the leaf alone; clients hold the CA.
 */
export function mintServerCertificate(options: {
  readonly ca: CertificateWithKey;
  readonly dnsNames: readonly [string, ...string[]];
  readonly now: Date;
}): CertificateWithKey {
  const caKey = p256FromPem(options.ca.privateKey);
  const issuer = subjectOf(options.ca.certificate);
  if (!new X509Certificate(options.ca.certificate).checkPrivateKey(caKey.privateKey)) {
    throw new InvalidKeyError('the CA certificate and its private key do not belong together');
  }
  const key = generateP256();
  const { pem } = mintCertificate({
    subject: { organization: ORGANIZATION, commonName: options.dnsNames[0] },
    subjectSpki: key.spki,
    issuer,
    issuerSpki: caKey.spki,
    issuerKey: caKey.privateKey,
    ...window(options.now, SERVER_DAYS),
    usages: ['serverAuth'],
    altNames: options.dnsNames,
    keyIdentifiers: 'full',
  });
  return { certificate: pem, privateKey: privateKeyPem(key) };
}

function window(now: Date, days: number): { notBefore: Date; notAfter: Date } {
  const notBefore = new Date(now.getTime() - HOUR_MS);
  return { notBefore, notAfter: new Date(notBefore.getTime() + days * DAY_MS) };
}

function privateKeyPem(key: P256Key): string {
  return key.privateKey.export({ format: 'pem', type: 'pkcs8' }) as string;
}

/** The subject as this package writes it (O, CN): anything else is not a CA made here. */
function subjectOf(pem: string): DistinguishedName {
  const { raw } = new X509Certificate(pem);
  const { subject } = AsnConvert.parse(Uint8Array.from(raw).buffer, Certificate).tbsCertificate;
  const [organization, commonName] = subject.map((part) => part[0]?.value.toString());
  if (subject.length !== 2 || organization === undefined || commonName === undefined) {
    throw new InvalidKeyError('the CA certificate was not made by generateDevelopmentCa');
  }
  return { organization, commonName };
}
