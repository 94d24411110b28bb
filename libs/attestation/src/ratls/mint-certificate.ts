import { createHash, type KeyObject, sign } from 'node:crypto';
import { DER } from '../x509/der-reader.js';
import { OID } from '../x509/object-identifiers.js';
import { pointOfSpki } from '../x509/p256.js';
import {
  authorityKeyIdentifier,
  basicConstraints,
  type CertificatePurpose,
  encodedExtension,
  extendedKeyUsage,
  keyUsage,
  subjectAltName,
  subjectKeyIdentifier,
} from './certificate-extensions.js';
import {
  bitString,
  type DerElementTree,
  type DerPart,
  der,
  encodeDer,
  objectIdentifier,
  sequence,
  time,
  unsignedInteger,
  utf8String,
} from './der-writer.js';
import { type RatlsExtensions, writeRatlsExtensions } from './ratls-extensions.js';

/** O (optional) then CN; an empty common name is left out, as dstack does. */
export interface CertificateName {
  readonly organization?: string;
  readonly commonName: string;
}

/** An issuing key with everything that is the same in all its certificates encoded once. */
export interface CertificateIssuer {
  readonly name: Uint8Array;
  readonly keyId: Uint8Array;
  readonly privateKey: KeyObject;
}

export interface CertificateContent {
  readonly subject: CertificateName;
  /** DER SubjectPublicKeyInfo, P-256. */
  readonly publicKey: Uint8Array;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly purposes?: readonly CertificatePurpose[];
  /** DNS names; text that is an IP address becomes an iPAddress. */
  readonly altNames?: readonly string[];
  readonly ratls?: RatlsExtensions;
  /** A CA with this path length; absent: a leaf. */
  readonly caPathLength?: number;
  /** `dstack` leaves carry neither key identifier; certificates for browsers and curl carry both. Default `dstack`. */
  readonly keyIdentifiers?: 'dstack' | 'full';
}

const ORGANIZATION = '55040a';
const KEY_ID_BYTES = 20;
const ECDSA_WITH_SHA256 = encodeDer(sequence(objectIdentifier(OID.ecdsaWithSha256)));
const VERSION_3 = encodeDer(der(DER.context0, unsignedInteger(new Uint8Array([2]))));

/** Prepares a P-256 issuing key; import it once, here, not per certificate. */
export function prepareIssuer(issuer: {
  readonly name: CertificateName;
  /** DER SubjectPublicKeyInfo. */
  readonly publicKey: Uint8Array;
  readonly privateKey: KeyObject;
}): CertificateIssuer {
  return {
    name: encodeDer(nameOf(issuer.name)),
    keyId: keyIdOf(issuer.publicKey),
    privateKey: issuer.privateKey,
  };
}

/**
 * Builds and signs an X.509 v3 certificate in dstack's profile (dstack-kms §6, §8): ECDSA P-256 with SHA-256, serial from
 * the public key, DER written in one pass. Returns DER.
 * @throws RangeError for names and times X.509 cannot carry; Refusal for a public key that is not P-256.
 */
export function mintCertificate(issuer: CertificateIssuer, content: CertificateContent): Uint8Array {
  const tbs = encodeDer(
    sequence(
      VERSION_3,
      unsignedInteger(serialOf(content.publicKey)),
      ECDSA_WITH_SHA256,
      issuer.name,
      sequence(time(content.notBefore), time(content.notAfter)),
      nameOf(content.subject),
      content.publicKey,
      der(DER.context3, sequence(...extensionsOf(issuer, content))),
    ),
  );
  return encodeDer(sequence(tbs, ECDSA_WITH_SHA256, bitString(sign('sha256', tbs, issuer.privateKey))));
}

function extensionsOf(issuer: CertificateIssuer, content: CertificateContent): readonly DerPart[] {
  const { altNames = [], purposes = [], caPathLength, ratls = {}, keyIdentifiers = 'dstack' } = content;
  const list: DerPart[] = [];
  if (keyIdentifiers === 'full') list.push(authorityKeyIdentifier(issuer.keyId));
  if (altNames.length > 0) list.push(subjectAltName(altNames));
  list.push(keyUsage(caPathLength !== undefined));
  if (purposes.length > 0) list.push(extendedKeyUsage(purposes));
  if (caPathLength !== undefined || keyIdentifiers === 'full') {
    list.push(subjectKeyIdentifier(keyIdOf(content.publicKey)));
  }
  if (caPathLength !== undefined) list.push(basicConstraints(caPathLength));
  for (const encoded of writeRatlsExtensions(ratls)) list.push(encodedExtension(encoded));
  return list;
}

function nameOf({ organization, commonName }: CertificateName): DerElementTree {
  const parts: DerElementTree[] = [];
  if (organization !== undefined) parts.push(attribute(ORGANIZATION, organization));
  if (commonName !== '') parts.push(attribute(OID.commonName, commonName));
  return sequence(...parts);
}

function attribute(type: string, text: string): DerElementTree {
  return der(DER.set, sequence(objectIdentifier(type), utf8String(text)));
}

/** Key identifier of the dstack profile: SHA-256(SubjectPublicKeyInfo)[0..20]. */
function keyIdOf(publicKey: Uint8Array): Uint8Array {
  return createHash('sha256').update(publicKey).digest().subarray(0, KEY_ID_BYTES);
}

/** rcgen's serial: SHA-256(uncompressed point)[0..20] with the top bit cleared. */
function serialOf(publicKey: Uint8Array): Uint8Array {
  const digest = createHash('sha256')
    .update(new Uint8Array([4]))
    .update(pointOfSpki(publicKey))
    .digest()
    .subarray(0, KEY_ID_BYTES);
  digest.writeUInt8(digest.readUInt8(0) & 0x7f, 0);
  return digest;
}
