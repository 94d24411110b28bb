import { equalBytes, fromHex } from '../bytes.js';
import { Refusal } from '../refusal.js';
import { readAlgorithm, readExtensions } from './certificate.js';
import { DER, DerReader } from './der-reader.js';
import { OID } from './object-identifiers.js';

/** The revoked serials, left in the list: it is asked for two or three serials and may hold thousands. */
class RevokedSerials {
  /** @param ends where each serial starts and ends in `bytes`, in turn */
  constructor(
    private readonly bytes: Uint8Array,
    private readonly ends: readonly number[],
  ) {}

  get size(): number {
    return this.ends.length / 2;
  }

  /** @param serial hex without leading zero bytes */
  has(serial: string): boolean {
    const wanted = fromHex(serial);
    if (wanted === undefined) return false;
    for (let i = 0; i < this.ends.length; i += 2) {
      if (equalBytes(this.bytes.subarray(this.ends[i], this.ends[i + 1]), wanted)) return true;
    }
    return false;
  }
}

/** X.509 v2 certificate revocation list, signed with ecdsa-with-SHA256 (RFC 5280 §5). */
export interface RevocationList {
  /** Exact signed bytes. */
  readonly tbs: Uint8Array;
  /** DER ECDSA signature. */
  readonly signature: Uint8Array;
  /** Exact encoded name. */
  readonly issuer: Uint8Array;
  readonly thisUpdate: Date;
  readonly nextUpdate: Date;
  readonly revoked: RevokedSerials;
}

const UNDERSTOOD: ReadonlySet<string> = new Set([OID.crlNumber, OID.authorityKeyId]);

/** @throws Refusal `DER_FORMAT`, `CRL_FORMAT` or `CERTIFICATE_FORMAT`; nothing is verified here. */
export function parseRevocationList(der: Uint8Array): RevocationList {
  const file = new DerReader(der);
  const outer = file.enter(DER.sequence, 'CRL');
  file.expectEnd('CRL');
  const tbs = outer.next(DER.sequence, 'signed CRL');
  readAlgorithm(outer, 'signature algorithm');
  const signature = outer.bits('signature');
  outer.expectEnd('CRL');
  const body = new DerReader(tbs.content);
  if (body.smallInteger('version', 1) !== 1) throw new Refusal('CRL_FORMAT', 'the CRL is not version 2');
  readAlgorithm(body, 'signed signature algorithm');
  const issuer = body.next(DER.sequence, 'issuer').encoded;
  const [thisUpdate, nextUpdate] = [body.time('thisUpdate'), body.time('nextUpdate')];
  const revoked = readRevoked(body.optional(DER.sequence, 'revoked certificates')?.content);
  const extensions = readExtensions(body.enter(DER.context0, 'extensions'), UNDERSTOOD);
  body.expectEnd('signed CRL');
  if (!extensions.has(OID.crlNumber) || !extensions.has(OID.authorityKeyId)) {
    throw new Refusal('CRL_FORMAT', 'the CRL has no CRL number or no authority key identifier');
  }
  return { tbs: tbs.encoded, signature, issuer, thisUpdate, nextUpdate, revoked };
}

function readRevoked(content: Uint8Array | undefined): RevokedSerials {
  const list = new DerReader(content ?? new Uint8Array());
  const ends: number[] = [];
  while (!list.atEnd) {
    const entry = list.enter(DER.sequence, 'revoked certificate');
    ends.push(...entry.unsigned('revoked serial'));
    entry.timeMs('revocation date');
  }
  return new RevokedSerials(content ?? new Uint8Array(), ends);
}
