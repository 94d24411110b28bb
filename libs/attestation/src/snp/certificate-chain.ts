import { toHex } from '../bytes.js';
import { Refusal } from '../refusal.js';
import { decodePemCertificates } from '../x509/pem.js';
import { type AmdCertificate, isSelfIssued, parseAmdCertificate } from './amd-certificate.js';
import { type EndorsementKey, isEndorsementKey, readEndorsementKey } from './endorsement-key.js';

/** The certificates of one report. */
export interface SnpChain {
  /** Versioned endorsement key: VCEK or VLEK. */
  readonly vek: AmdCertificate;
  readonly endorsement: EndorsementKey;
  /** ASK (for a VCEK) or ASVK (for a VLEK). */
  readonly signer: AmdCertificate;
  /** Null when the evidence leaves the root out. */
  readonly root: AmdCertificate | null;
}

/** Limits on what the evidence may bring. */
const MAX = { entries: 8, entryBytes: 64 * 1024, certificates: 8 } as const;

/** Certificate table of the extended guest request (GHCB specification): GUID 16, offset u32, length u32. */
const TABLE = { entryBytes: 24, guidBytes: 16, lengthOffset: 20 } as const;
const TABLE_GUIDS: ReadonlySet<string> = new Set([
  '63da758de6644564adc5f4b93be8accd',
  'a8074bc2a25a483eaae639c045a0b8a1',
  '4ab7b379bbac4fe4a02f05aef327c782',
  'c0b406a4a803495297433fb6014cd0ae',
]);

/**
 * Sorts the certificates of the evidence by what they are, whatever their order: an entry is DER, PEM (one or several) or
 * a certificate table of the guest driver. Exactly one endorsement key and one signing key; the root may be left out.
 * @throws Refusal `CHAIN_FORMAT` and those of parsing
 */
export function readSnpChain(entries: readonly Uint8Array[]): SnpChain {
  if (entries.length > MAX.entries) throw new Refusal('CHAIN_FORMAT', `more than ${MAX.entries} certificate entries`);
  const ders = entries.flatMap(readEntry);
  if (ders.length > MAX.certificates) throw new Refusal('CHAIN_FORMAT', `more than ${MAX.certificates} certificates`);
  const certificates = ders.map(parseAmdCertificate);
  const veks = certificates.filter(isEndorsementKey);
  const roots = certificates.filter((certificate) => !isEndorsementKey(certificate) && isSelfIssued(certificate));
  const signers = certificates.filter((certificate) => !isEndorsementKey(certificate) && !isSelfIssued(certificate));
  const [vek, signer, root] = [veks[0], signers[0], roots[0]];
  if (vek === undefined || signer === undefined || veks.length > 1 || signers.length > 1 || roots.length > 1) {
    const found = `${veks.length} endorsement keys, ${signers.length} signing keys and ${roots.length} roots`;
    throw new Refusal('CHAIN_FORMAT', `the evidence has ${found}: one, one and at most one are needed`);
  }
  return { vek, endorsement: readEndorsementKey(vek), signer, root: root ?? null };
}

function readEntry(entry: Uint8Array): readonly Uint8Array[] {
  if (entry.length > MAX.entryBytes) throw new Refusal('CHAIN_FORMAT', `a certificate entry has ${entry.length} bytes`);
  if (entry[0] === '-'.charCodeAt(0)) {
    return decodePemCertificates(Buffer.from(entry).toString('latin1'), 'the certificate chain');
  }
  return TABLE_GUIDS.has(toHex(entry.subarray(0, TABLE.guidBytes))) ? readTable(entry) : [entry];
}

/** Unknown entries (a CRL, vendor data) are passed over; a zero entry ends the table. */
function readTable(table: Uint8Array): readonly Uint8Array[] {
  const view = new DataView(table.buffer, table.byteOffset, table.byteLength);
  const certificates: Uint8Array[] = [];
  for (let at = 0; ; at += TABLE.entryBytes) {
    if (at + TABLE.entryBytes > table.length) throw new Refusal('CHAIN_FORMAT', 'the certificate table has no end');
    const guid = toHex(table.subarray(at, at + TABLE.guidBytes));
    if (/^0+$/.test(guid)) return certificates;
    const offset = view.getUint32(at + TABLE.guidBytes, true);
    const sizeBytes = view.getUint32(at + TABLE.lengthOffset, true);
    if (offset + sizeBytes > table.length)
      throw new Refusal('CHAIN_FORMAT', 'the certificate table points past its end');
    if (TABLE_GUIDS.has(guid)) certificates.push(table.subarray(offset, offset + sizeBytes));
  }
}
