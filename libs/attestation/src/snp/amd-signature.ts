import { constants, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { equalBytes, toHex } from '../bytes.js';
import { Refusal } from '../refusal.js';
import { DER, DerReader } from '../x509/der-reader.js';
import { AMD_OID } from './object-identifiers.js';

/** AMD signs with RSA-4096, PSS, SHA-384 throughout, salt of 48 bytes (KDS specification 57230). */
const PSS = { saltBytes: 48, trailer: 1, minModulusBits: 4096 } as const;
const DER_NULL = '0500';
const CONTEXT = { hash: 0xa0, mask: 0xa1, salt: 0xa2, trailer: 0xa3 } as const;

/** The pieces of a certificate or CRL that signature checking needs. */
export interface AmdSigned {
  /** Exact signed bytes. */
  readonly tbs: Uint8Array;
  /** Exact encoded issuer name. */
  readonly issuer: Uint8Array;
  readonly signature: Uint8Array;
}

/**
 * Reads an AlgorithmIdentifier, which must be RSASSA-PSS with SHA-384, MGF1 with SHA-384 and a salt of 48 bytes; returns
 * its exact encoding.
 * @throws Refusal `CERTIFICATE_FORMAT` or `DER_FORMAT`
 */
export function readPssAlgorithm(reader: DerReader, field: string): Uint8Array {
  const { encoded, content } = reader.next(DER.sequence, field);
  const algorithm = new DerReader(content);
  if (algorithm.oid(field) !== AMD_OID.rsassaPss) throw refuse(`${field} is not RSASSA-PSS`);
  const parameters = algorithm.enter(DER.sequence, `${field} parameters`);
  algorithm.expectEnd(field);
  requireSha384(parameters.enter(CONTEXT.hash, `${field} hash`), field);
  const mask = parameters.enter(CONTEXT.mask, `${field} mask`).enter(DER.sequence, `${field} mask`);
  if (mask.oid(`${field} mask`) !== AMD_OID.mgf1) throw refuse(`${field} does not use MGF1`);
  requireSha384(mask, field);
  const salt = parameters.enter(CONTEXT.salt, `${field} salt`).smallInteger(`${field} salt`, 0xff);
  if (salt !== PSS.saltBytes) throw refuse(`${field} has a salt of ${salt} bytes, not ${PSS.saltBytes}`);
  const trailer = parameters.optional(CONTEXT.trailer, `${field} trailer`);
  if (trailer !== undefined) {
    new DerReader(trailer.content).smallInteger(`${field} trailer`, PSS.trailer);
  }
  parameters.expectEnd(`${field} parameters`);
  return encoded;
}

function requireSha384(reader: DerReader, field: string): void {
  const hash = reader.enter(DER.sequence, `${field} hash`);
  const oid = hash.oid(`${field} hash`);
  // The parameters are NULL or absent (RFC 4055 §2.1).
  if (!hash.atEnd && toHex(hash.any(`${field} hash parameters`).encoded) !== DER_NULL) {
    throw refuse(`${field} hash parameters are not NULL`);
  }
  hash.expectEnd(`${field} hash`);
  reader.expectEnd(field);
  if (oid !== AMD_OID.sha384) throw refuse(`${field} does not use SHA-384`);
}

/** True when the raw issuer name equals the signer's subject and the RSA-PSS signature holds. */
export function isAmdSigned(
  signed: AmdSigned,
  issuer: { readonly subject: Uint8Array; readonly spki: Uint8Array },
): boolean {
  const options = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: PSS.saltBytes };
  return (
    equalBytes(signed.issuer, issuer.subject) &&
    verify('sha384', signed.tbs, { key: importRsa(issuer.spki), ...options }, signed.signature)
  );
}

/** @throws Refusal `KEY_INVALID` unless the key is RSA of at least 4096 bits */
function importRsa(spki: Uint8Array): KeyObject {
  const key = importKey(spki);
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (key.asymmetricKeyType !== 'rsa' || bits < PSS.minModulusBits) {
    throw new Refusal('KEY_INVALID', `an AMD CA key is RSA of ${PSS.minModulusBits} bits`);
  }
  return key;
}

/** @throws Refusal `KEY_INVALID` unless the key is a point of P-384 */
export function importP384(spki: Uint8Array): KeyObject {
  const key = importKey(spki);
  if (key.asymmetricKeyType !== 'ec' || key.asymmetricKeyDetails?.namedCurve !== 'secp384r1') {
    throw new Refusal('KEY_INVALID', 'an endorsement key is ECDSA P-384');
  }
  return key;
}

/** ECDSA P-384 / SHA-384 of a report; signature r ‖ s, 96 bytes. r or s of 0 or ≥ n is refused by OpenSSL. */
export function verifyP384(spki: Uint8Array, data: Uint8Array, signature: Uint8Array): boolean {
  return verify('sha384', data, { key: importP384(spki), dsaEncoding: 'ieee-p1363' }, signature);
}

function importKey(spki: Uint8Array): KeyObject {
  try {
    return createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
  } catch {
    throw new Refusal('KEY_INVALID', 'the public key cannot be read');
  }
}

function refuse(message: string): Refusal {
  return new Refusal('CERTIFICATE_FORMAT', message);
}
