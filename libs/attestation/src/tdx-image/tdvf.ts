import { equalBytes } from '../bytes.js';
import { ByteSource } from '../encodings/byte-source.js';
import { type Decoded, decode } from '../encodings/decoded.js';
import type { Refusal } from '../refusal.js';
import { guidBytes } from './guid.js';

export const PAGE_BYTES = 4096;

/** Section types that matter to the TD HOB (Intel TDVF design guide §11). */
export const TDVF_SECTION = { tdHob: 2, tempMem: 3 } as const;
/** Section attributes. */
export const TDVF_ATTRIBUTE = { mrExtend: 1, pageAug: 2 } as const;

/** One section of the TDVF metadata. Addresses and sizes in bytes. */
export interface TdvfSection {
  readonly dataOffset: number;
  readonly rawSize: number;
  readonly memoryAddress: number;
  readonly memorySize: number;
  readonly type: number;
  readonly attributes: number;
}

export interface Tdvf {
  readonly firmware: Uint8Array;
  /** In table order, which is the order of measurement. */
  readonly sections: readonly TdvfSection[];
}

/** Distance of the GUID table's end from the end of the firmware, and the size of an entry's length and GUID. */
const RESET_VECTOR_BYTES = 32;
const ENTRY_HEADER_BYTES = 18;
const TABLE_FOOTER = guidBytes('96b582de-1fb2-45f7-baea-a366c55a082d');
const METADATA_OFFSET = guidBytes('e47a6535-984a-4798-865e-4685a7bf8ec2');
const DESCRIPTOR_SIGNATURE = 'TDVF';

/** Real firmware has six or seven sections of a few MiB; the page limit bounds the work of measuring. */
const LIMITS = { firmwareBytes: 64 * 1024 * 1024, sections: 64, pages: 65_536, address: 2 ** 46 } as const;

/** Finds and reads the TDX metadata of a firmware image. Check `tdvf.format`; code `TDVF_FORMAT`. */
export function parseTdvf(firmware: Uint8Array): Decoded<Tdvf> {
  return decode(
    'tdvf.format',
    () => readTdvf(firmware),
    ({ sections }) => `${sections.length} sections`,
  );
}

/** @throws Refusal `TDVF_FORMAT` */
export function readTdvf(firmware: Uint8Array): Tdvf {
  const source = new ByteSource(firmware, 'TDVF_FORMAT');
  if (firmware.length > LIMITS.firmwareBytes) {
    throw source.refuse(`the firmware has more than ${LIMITS.firmwareBytes} bytes`);
  }
  const fromEnd = findEntry(firmware, source);
  if (fromEnd > firmware.length) throw source.refuse('the metadata offset is outside the firmware');
  const reader = new ByteSource(firmware, 'TDVF_FORMAT', firmware.length - fromEnd);
  if (Buffer.from(reader.take(4, 'descriptor')).toString('latin1') !== DESCRIPTOR_SIGNATURE) {
    throw reader.refuse('the descriptor is not TDVF', reader.offset - 4);
  }
  reader.u32('descriptor length');
  if (reader.u32('descriptor version') !== 1) throw reader.refuse('the TDVF version is not 1', reader.offset - 4);
  const count = reader.u32('section count');
  if (count === 0 || count > LIMITS.sections) throw reader.refuse(`the metadata declares ${count} sections`);
  const sections: TdvfSection[] = [];
  for (let i = 0; i < count; i++) sections.push(readSection(reader, `section ${i}`, firmware.length));
  const pages = sections.reduce((sum, { memorySize }) => sum + memorySize / PAGE_BYTES, 0);
  if (pages > LIMITS.pages) throw reader.refuse(`the sections have more than ${LIMITS.pages} pages`);
  return { firmware, sections };
}

/**
 * Walks the GUID table backwards from its footer: each entry ends with its own length (header included) and its GUID.
 * Returns the descriptor's distance from the end of the firmware.
 */
function findEntry(firmware: Uint8Array, source: ByteSource): number {
  const end = firmware.length - RESET_VECTOR_BYTES;
  const footer = entryAt(firmware, end, source);
  if (!equalBytes(footer.guid, TABLE_FOOTER)) throw source.refuse('there is no GUID table at the end', end - 16);
  const start = end - footer.length;
  if (start < 0) throw source.refuse('the GUID table is longer than the firmware', end);
  let at = end - ENTRY_HEADER_BYTES;
  while (at > start) {
    const entry = entryAt(firmware, at, source);
    if (entry.length < ENTRY_HEADER_BYTES || entry.length > at - start) {
      throw source.refuse(`a GUID table entry has ${entry.length} bytes`, at);
    }
    if (equalBytes(entry.guid, METADATA_OFFSET)) {
      if (entry.length < ENTRY_HEADER_BYTES + 4) throw source.refuse('the metadata entry has no offset', at);
      return new ByteSource(firmware, 'TDVF_FORMAT', at - ENTRY_HEADER_BYTES - 4).u32('metadata offset');
    }
    at -= entry.length;
  }
  throw source.refuse('the GUID table has no TDX metadata', start);
}

function entryAt(firmware: Uint8Array, end: number, source: ByteSource): { guid: Uint8Array; length: number } {
  if (end < ENTRY_HEADER_BYTES) throw source.refuse('the firmware is too short for a GUID table', 0);
  const reader = new ByteSource(firmware, 'TDVF_FORMAT', end - ENTRY_HEADER_BYTES);
  const length = reader.u16('entry length');
  return { length, guid: reader.take(16, 'entry GUID') };
}

function readSection(reader: ByteSource, field: string, firmwareBytes: number): TdvfSection {
  const section: TdvfSection = {
    dataOffset: reader.u32(`${field} data offset`),
    rawSize: reader.u32(`${field} raw size`),
    memoryAddress: address(reader, `${field} address`),
    memorySize: address(reader, `${field} size`),
    type: reader.u32(`${field} type`),
    attributes: reader.u32(`${field} attributes`),
  };
  const problem = problemOf(section, firmwareBytes);
  if (problem !== undefined) throw refuseSection(reader, field, problem);
  return section;
}

function problemOf(section: TdvfSection, firmwareBytes: number): string | undefined {
  const { dataOffset, rawSize, memoryAddress, memorySize, attributes } = section;
  if (memoryAddress % PAGE_BYTES !== 0 || memorySize % PAGE_BYTES !== 0) return 'is not made of whole pages';
  if (memorySize < rawSize) return 'is smaller in memory than in the file';
  // Measuring reads the whole memory size from the file.
  const readBytes = (attributes & TDVF_ATTRIBUTE.mrExtend) === 0 ? rawSize : memorySize;
  return dataOffset + readBytes > firmwareBytes ? 'has its data outside the firmware' : undefined;
}

function address(reader: ByteSource, field: string): number {
  const value = reader.u64(field);
  if (value > BigInt(LIMITS.address)) throw reader.refuse(`${field} is out of range`, reader.offset - 8);
  return Number(value);
}

function refuseSection(reader: ByteSource, field: string, problem: string): Refusal {
  return reader.refuse(`${field} ${problem}`, reader.offset - 32);
}
