import { createHash } from 'node:crypto';
import { ByteSource } from '../encodings/byte-source.js';

/** Offsets in a PE file (Microsoft PE format, "Authenticode portable executable signature format"). */
const DOS_PE_OFFSET = 0x3c;
const PE_SIGNATURE = 0x0000_4550;
const COFF = { sections: 2, optionalHeaderSize: 16, bytes: 20 } as const;
const OPTIONAL = { headersSize: 60, checksum: 64, checksumBytes: 4 } as const;
/** Start of the data directories in the optional header, by its magic; the number of them stands before. */
const DIRECTORIES: Readonly<Record<number, number>> = { 267: 96, 523: 112 };
const CERTIFICATE_DIRECTORY = { index: 4, bytes: 8 } as const;
const SECTION = { rawSize: 16, rawOffset: 20, bytes: 40 } as const;
const PADDING_BYTES = 8;

/**
 * Authenticode digest of a PE file: everything but its checksum, its certificate directory entry and the certificates, the
 * sections by file offset, zero-padded to 8 bytes. SHA-384 (48 bytes) is what firmware extends RTMR 1 with.
 * @throws Refusal `PE_FORMAT`
 */
export function authenticode(file: Uint8Array, algorithm: 'sha384' | 'sha256' = 'sha384'): Uint8Array {
  const header = readHeader(file);
  const hash = createHash(algorithm);
  hash.update(file.subarray(0, header.checksumAt));
  hash.update(file.subarray(header.checksumAt + OPTIONAL.checksumBytes, header.certificateEntryAt));
  hash.update(file.subarray(header.certificateEntryAt + CERTIFICATE_DIRECTORY.bytes, header.headersSize));
  let hashed = header.headersSize;
  for (const { offset, size } of header.sections) {
    hash.update(file.subarray(offset, offset + size));
    hashed += size;
  }
  const end = file.length - header.certificateBytes;
  if (end > hashed) hash.update(file.subarray(hashed, end));
  hash.update(new Uint8Array((PADDING_BYTES - (file.length % PADDING_BYTES)) % PADDING_BYTES));
  return new Uint8Array(hash.digest());
}

interface PeHeader {
  readonly checksumAt: number;
  readonly certificateEntryAt: number;
  readonly certificateBytes: number;
  readonly headersSize: number;
  /** With content, by file offset. */
  readonly sections: readonly { readonly offset: number; readonly size: number }[];
}

function readHeader(file: Uint8Array): PeHeader {
  const at = (offset: number): ByteSource => new ByteSource(file, 'PE_FORMAT', Math.min(offset, file.length));
  const peAt = at(DOS_PE_OFFSET).u32('PE offset');
  const signature = at(peAt);
  if (signature.u32('PE signature') !== PE_SIGNATURE) throw signature.refuse('there is no PE header', peAt);
  const coff = peAt + 4;
  const optional = coff + COFF.bytes;
  const magic = at(optional).u16('optional header magic');
  const directories = DIRECTORIES[magic];
  if (directories === undefined) throw at(optional).refuse(`the optional header has magic 0x${magic.toString(16)}`);
  const count = at(optional + directories - 4).u32('number of directories');
  if (count <= CERTIFICATE_DIRECTORY.index) throw at(optional).refuse('there is no certificate directory entry');
  const certificateEntryAt = optional + directories + CERTIFICATE_DIRECTORY.index * CERTIFICATE_DIRECTORY.bytes;
  const certificateBytes = at(certificateEntryAt + 4).u32('certificate size');
  const headersSize = at(optional + OPTIONAL.headersSize).u32('size of headers');
  if (headersSize < certificateEntryAt + CERTIFICATE_DIRECTORY.bytes || headersSize > file.length) {
    throw at(optional).refuse(`the headers have ${headersSize} bytes`);
  }
  if (certificateBytes > file.length - headersSize) throw at(certificateEntryAt).refuse('the certificates do not fit');
  const table = optional + at(coff + COFF.optionalHeaderSize).u16('optional header size');
  const sections = readSections(file, at, table, at(coff + COFF.sections).u16('number of sections'));
  return { checksumAt: optional + OPTIONAL.checksum, certificateEntryAt, certificateBytes, headersSize, sections };
}

function readSections(
  file: Uint8Array,
  at: (offset: number) => ByteSource,
  table: number,
  count: number,
): PeHeader['sections'] {
  const sections: { offset: number; size: number }[] = [];
  let total = 0;
  for (let i = 0; i < count; i++) {
    const entry = table + i * SECTION.bytes;
    const size = at(entry + SECTION.rawSize).u32(`size of section ${i}`);
    const offset = at(entry + SECTION.rawOffset).u32(`offset of section ${i}`);
    if (size === 0) continue;
    if (offset + size > file.length) throw at(entry).refuse(`section ${i} is outside the file`);
    total += size;
    // Overlapping sections would let a small file cost a lot of hashing.
    if (total > file.length) throw at(entry).refuse('the sections are larger than the file');
    sections.push({ offset, size });
  }
  return sections.toSorted((a, b) => a.offset - b.offset);
}
