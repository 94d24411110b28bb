import { equalBytes } from '../bytes.js';
import { Refusal } from '../refusal.js';
import { readExtensions } from '../x509/certificate.js';
import { DER, DerReader } from '../x509/der-reader.js';
import { OID } from '../x509/object-identifiers.js';
import { type AmdSigned, isAmdSigned, readPssAlgorithm } from './amd-signature.js';
import { AMD_OID } from './object-identifiers.js';

/** X.509 v3 certificate of AMD's SEV-SNP hierarchy, signed with RSASSA-PSS SHA-384. */
export interface AmdCertificate extends AmdSigned {
  readonly der: Uint8Array;
  /** Hex without leading zero bytes; AMD gives every VCEK the serial 0. */
  readonly serial: string;
  readonly subject: Uint8Array;
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly isCa: boolean;
  /** Null when unlimited or not a CA. */
  readonly pathLength: number | null;
  readonly keyCertSign: boolean;
  readonly crlSign: boolean;
  /** Extension values (content of the OCTET STRING) by OID hex. */
  readonly extensions: ReadonlyMap<string, Uint8Array>;
}

/** Critical extensions that are understood; any other one refuses the certificate (RFC 5280 §4.2). */
const UNDERSTOOD: ReadonlySet<string> = new Set([OID.keyUsage, OID.basicConstraints, ...Object.values(AMD_OID)]);

/** @throws Refusal `DER_FORMAT` or `CERTIFICATE_FORMAT`; nothing is verified here. */
export function parseAmdCertificate(der: Uint8Array): AmdCertificate {
  const file = new DerReader(der);
  const outer = file.enter(DER.sequence, 'certificate');
  file.expectEnd('certificate');
  const tbs = outer.next(DER.sequence, 'signed certificate');
  const algorithm = readPssAlgorithm(outer, 'signature algorithm');
  const signature = outer.bits('signature');
  outer.expectEnd('certificate');
  const body = new DerReader(tbs.content);
  if (body.enter(DER.context0, 'version').smallInteger('version', 2) !== 2) {
    throw new Refusal('CERTIFICATE_FORMAT', 'the certificate is not X.509 version 3');
  }
  const serial = body.integerHex('serial number');
  if (!equalBytes(readPssAlgorithm(body, 'signed signature algorithm'), algorithm)) {
    throw new Refusal('CERTIFICATE_FORMAT', 'the two signature algorithms differ');
  }
  const issuer = body.next(DER.sequence, 'issuer').encoded;
  const validity = body.enter(DER.sequence, 'validity');
  const [notBefore, notAfter] = [validity.time('notBefore'), validity.time('notAfter')];
  validity.expectEnd('validity');
  const subject = body.next(DER.sequence, 'subject').encoded;
  const spki = body.next(DER.sequence, 'public key').encoded;
  const extensions = readExtensions(body.enter(DER.context3, 'extensions'), UNDERSTOOD);
  body.expectEnd('signed certificate');
  const names = { der, tbs: tbs.encoded, signature, serial, issuer, subject, spki };
  return { ...names, notBefore, notAfter, ...readConstraints(extensions), ...readKeyUsage(extensions), extensions };
}

/** A certificate without basic constraints is no CA (endorsement keys have none). */
function readConstraints(extensions: ReadonlyMap<string, Uint8Array>): Pick<AmdCertificate, 'isCa' | 'pathLength'> {
  const value = extensions.get(OID.basicConstraints);
  if (value === undefined) return { isCa: false, pathLength: null };
  const outer = new DerReader(value);
  const constraints = outer.enter(DER.sequence, 'basic constraints');
  outer.expectEnd('basic constraints');
  const isCa = constraints.peekTag() === DER.boolean && constraints.boolean('cA');
  const pathLength = constraints.atEnd ? null : constraints.smallInteger('path length', 255);
  constraints.expectEnd('basic constraints');
  return { isCa, pathLength };
}

const KEY_USAGE_FLAG = { keyCertSign: 0x04, crlSign: 0x02 } as const;

function readKeyUsage(extensions: ReadonlyMap<string, Uint8Array>): Pick<AmdCertificate, 'keyCertSign' | 'crlSign'> {
  const value = extensions.get(OID.keyUsage);
  if (value === undefined) return { keyCertSign: false, crlSign: false };
  const reader = new DerReader(value);
  // First byte of a BIT STRING: number of unused bits; flags follow.
  const flags = reader.next(DER.bitString, 'key usage').content[1] ?? 0;
  reader.expectEnd('key usage');
  return {
    keyCertSign: (flags & KEY_USAGE_FLAG.keyCertSign) !== 0,
    crlSign: (flags & KEY_USAGE_FLAG.crlSign) !== 0,
  };
}

export function isSelfIssued(certificate: AmdCertificate): boolean {
  return equalBytes(certificate.issuer, certificate.subject);
}

/**
 * The issuer may sign certificates, has a long enough path, and signed this one.
 * @param below number of CA certificates under the issuer in the chain
 * @throws Refusal `CHAIN_INVALID`
 */
export function requireIssued(subject: AmdCertificate, issuer: AmdCertificate, below: number, who: string): void {
  if (!issuer.isCa || !issuer.keyCertSign) throw new Refusal('CHAIN_INVALID', `the issuer of ${who} is no CA`);
  if (issuer.pathLength !== null && issuer.pathLength < below) {
    throw new Refusal('CHAIN_INVALID', `the issuer of ${who} allows a shorter path`);
  }
  if (!isAmdSigned(subject, issuer)) throw new Refusal('CHAIN_INVALID', `${who} is not signed by its issuer`);
}
