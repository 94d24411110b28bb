import { equalBytes } from '../bytes.js';
import { Refusal } from '../refusal.js';
import { readExtensions } from '../x509/certificate.js';
import { DER, DerReader } from '../x509/der-reader.js';
import { OID } from '../x509/object-identifiers.js';
import { type AmdSigned, readPssAlgorithm } from './amd-signature.js';

/** X.509 v2 CRL of an ARK: lists revoked signing keys (ASK, ASVK). */
export interface AmdRevocationList extends AmdSigned {
  readonly thisUpdate: Date;
  readonly nextUpdate: Date;
  /** Serials as hex without leading zero bytes. */
  readonly revoked: ReadonlySet<string>;
}

const UNDERSTOOD: ReadonlySet<string> = new Set([OID.crlNumber, OID.authorityKeyId]);

/** @throws Refusal `DER_FORMAT`, `CERTIFICATE_FORMAT` or `CRL_FORMAT`; nothing is verified here. */
export function parseAmdRevocationList(der: Uint8Array): AmdRevocationList {
  const file = new DerReader(der);
  const outer = file.enter(DER.sequence, 'CRL');
  file.expectEnd('CRL');
  const tbs = outer.next(DER.sequence, 'signed CRL');
  const algorithm = readPssAlgorithm(outer, 'CRL signature algorithm');
  const signature = outer.bits('CRL signature');
  outer.expectEnd('CRL');
  const body = new DerReader(tbs.content);
  if (body.smallInteger('CRL version', 1) !== 1) throw new Refusal('CRL_FORMAT', 'the CRL is not version 2');
  if (!equalBytes(readPssAlgorithm(body, 'signed CRL signature algorithm'), algorithm)) {
    throw new Refusal('CRL_FORMAT', 'the two signature algorithms of the CRL differ');
  }
  const issuer = body.next(DER.sequence, 'CRL issuer').encoded;
  const [thisUpdate, nextUpdate] = [body.time('thisUpdate'), body.time('nextUpdate')];
  const revoked = readRevoked(body.optional(DER.sequence, 'revoked certificates')?.content ?? new Uint8Array());
  if (!body.atEnd) readExtensions(body.enter(DER.context0, 'CRL extensions'), UNDERSTOOD);
  body.expectEnd('signed CRL');
  return { tbs: tbs.encoded, signature, issuer, thisUpdate, nextUpdate, revoked };
}

function readRevoked(content: Uint8Array): ReadonlySet<string> {
  const list = new DerReader(content);
  const serials = new Set<string>();
  while (!list.atEnd) {
    const entry = list.enter(DER.sequence, 'revoked certificate');
    serials.add(entry.integerHex('revoked serial'));
    entry.time('revocation date');
  }
  return serials;
}
