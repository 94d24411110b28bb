import { createHash } from 'node:crypto';
import { PAGE_BYTES, TDVF_ATTRIBUTE, type Tdvf, type TdvfSection } from './tdvf.js';

/**
 * In which order QEMU builds a section: `two-pass` adds all its pages and then extends them (8.x), `single-pass` does both
 * page by page (9 and later).
 */
export type PageAddOrder = 'two-pass' | 'single-pass';

/** Sizes of the records the TDX module hashes into MRTD, in bytes (Intel TDX module: TDH.MEM.PAGE.ADD, TDH.MR.EXTEND). */
const RECORD_BYTES = 128;
const ADDRESS_OFFSET = 16;
const CHUNK_BYTES = 256;
const CHUNKS = PAGE_BYTES / CHUNK_BYTES;

/** MRTD of a TD that is built from this firmware, 48 bytes (dstack-kms §14.1). */
export function tdvfMrtd(tdvf: Tdvf, order: PageAddOrder): Uint8Array {
  const hash = createHash('sha384');
  const add = record('MEM.PAGE.ADD');
  const extend = Buffer.alloc(CHUNKS * (RECORD_BYTES + CHUNK_BYTES));
  for (let chunk = 0; chunk < CHUNKS; chunk++) record('MR.EXTEND').copy(extend, chunk * (RECORD_BYTES + CHUNK_BYTES));

  const addPage = (section: TdvfSection, page: number): void => {
    if ((section.attributes & TDVF_ATTRIBUTE.pageAug) !== 0) return;
    writeAddress(add, 0, section.memoryAddress + page * PAGE_BYTES);
    hash.update(add);
  };
  const extendPage = (section: TdvfSection, page: number): void => {
    if ((section.attributes & TDVF_ATTRIBUTE.mrExtend) === 0) return;
    for (let chunk = 0; chunk < CHUNKS; chunk++) {
      const at = chunk * (RECORD_BYTES + CHUNK_BYTES);
      const offset = page * PAGE_BYTES + chunk * CHUNK_BYTES;
      writeAddress(extend, at, section.memoryAddress + offset);
      const data = section.dataOffset + offset;
      extend.set(tdvf.firmware.subarray(data, data + CHUNK_BYTES), at + RECORD_BYTES);
    }
    hash.update(extend);
  };
  for (const section of tdvf.sections) {
    const pages = section.memorySize / PAGE_BYTES;
    for (let page = 0; page < pages; page++) {
      addPage(section, page);
      if (order === 'single-pass') extendPage(section, page);
    }
    if (order === 'two-pass') for (let page = 0; page < pages; page++) extendPage(section, page);
  }
  return new Uint8Array(hash.digest());
}

function record(name: string): Buffer {
  const buffer = Buffer.alloc(RECORD_BYTES);
  buffer.write(name, 'latin1');
  return buffer;
}

function writeAddress(buffer: Buffer, recordStart: number, address: number): void {
  buffer.writeBigUInt64LE(BigInt(address), recordStart + ADDRESS_OFFSET);
}
