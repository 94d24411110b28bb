import { ByteSink } from '../encodings/byte-sink.js';
import { guidBytes } from '../tdx-image/guid.js';
import type { TdvfSection } from '../tdx-image/tdvf.js';

/** Sections as dstack's firmware has them, with a boot volume of two pages. */
export const SAMPLE_SECTIONS: readonly TdvfSection[] = [
  section({
    dataOffset: 0x1000,
    rawSize: 0x2000,
    memoryAddress: 0xffffe000,
    memorySize: 0x2000,
    type: 0,
    attributes: 1,
  }),
  section({ dataOffset: 0, rawSize: 0x1000, memoryAddress: 0xffffd000, memorySize: 0x1000, type: 1 }),
  section({ memoryAddress: 0x810000, memorySize: 0x10000, type: 3 }),
  section({ memoryAddress: 0x80b000, memorySize: 0x2000, type: 3 }),
  section({ memoryAddress: 0x809000, memorySize: 0x2000, type: 2 }),
  section({ memoryAddress: 0x800000, memorySize: 0x6000, type: 3 }),
];

export function section(fields: Partial<TdvfSection>): TdvfSection {
  return { dataOffset: 0, rawSize: 0, memoryAddress: 0, memorySize: 0, type: 0, attributes: 0, ...fields };
}

const TDX_METADATA_GUID = guidBytes('e47a6535-984a-4798-865e-4685a7bf8ec2');
const FOOTER_GUID = guidBytes('96b582de-1fb2-45f7-baea-a366c55a082d');
/** Bytes of data in front of the metadata. */
const DATA_BYTES = 0x3000;

/** An entry of the GUID table: data, then length and GUID. */
export function guidEntry(data: Uint8Array, guid: Uint8Array, lengthError = 0): Uint8Array {
  return new ByteSink()
    .raw(data)
    .u16(data.length + 18 + lengthError)
    .raw(guid)
    .finish();
}

/** Firmware with these sections, and `before` (table entries that stand behind, so are walked before) around its own. */
export function sampleFirmware(
  sections: readonly TdvfSection[] = SAMPLE_SECTIONS,
  changes: {
    readonly count?: number;
    readonly version?: number;
    readonly signature?: string;
    readonly fromEnd?: number;
    readonly guid?: Uint8Array;
    readonly walkedBefore?: Uint8Array;
    readonly tableError?: number;
  } = {},
): Uint8Array {
  const metadata = new ByteSink()
    .raw(Buffer.from(changes.signature ?? 'TDVF', 'latin1'))
    .u32(16 + 32 * sections.length)
    .u32(changes.version ?? 1)
    .u32(changes.count ?? sections.length);
  for (const entry of sections) {
    metadata.u32(entry.dataOffset).u32(entry.rawSize).u64(BigInt(entry.memoryAddress)).u64(BigInt(entry.memorySize));
    metadata.u32(entry.type).u32(entry.attributes);
  }
  const content = metadata.finish();
  const walkedBefore = changes.walkedBefore ?? guidEntry(new Uint8Array(4), new Uint8Array(16).fill(1));
  const tableBytes = 4 + 18 + walkedBefore.length + 18;
  const fromEnd = changes.fromEnd ?? content.length + tableBytes + 32;
  const offset = new ByteSink().u32(fromEnd).finish();
  return new ByteSink()
    .raw(new Uint8Array(DATA_BYTES).map((_, at) => at % 251))
    .raw(content)
    .raw(guidEntry(offset, changes.guid ?? TDX_METADATA_GUID))
    .raw(walkedBefore)
    .u16(tableBytes + (changes.tableError ?? 0))
    .raw(FOOTER_GUID)
    .raw(new Uint8Array(32))
    .finish();
}

/** Where things stand in `sampleKernel`. */
export const SAMPLE_KERNEL = { pe: 0x40, optional: 0x58, headersSize: 0x1000, sectionTable: 0x148 } as const;

/**
 * A PE32+ file with a Linux setup header: headers of 0x1000 bytes (the setup header must lie in them), sections of 0x1000
 * and 0x800 bytes listed out of file order.
 */
export function sampleKernel(changes: { readonly trailing?: number; readonly certificates?: number } = {}): Uint8Array {
  const { trailing = 0, certificates = 0 } = changes;
  const file = Buffer.alloc(0x2800 + trailing + certificates);
  for (let at = 0x400; at < file.length; at++) file[at] = at % 253;
  const { pe, optional, sectionTable } = SAMPLE_KERNEL;
  file.writeUInt32LE(pe, 0x3c);
  file.writeUInt32LE(0x4550, pe);
  file.writeUInt16LE(3, pe + 6); // sections
  file.writeUInt16LE(0xf0, pe + 20); // optional header size
  file.writeUInt16LE(0x20b, optional);
  file.writeUInt32LE(SAMPLE_KERNEL.headersSize, optional + 60);
  file.writeUInt32LE(0x11223344, optional + 64); // checksum
  file.writeUInt32LE(16, optional + 108); // directories
  if (certificates > 0) {
    file.writeUInt32LE(file.length - certificates, optional + 112 + 32);
    file.writeUInt32LE(certificates, optional + 112 + 36);
  }
  const sections = [
    [0x800, 0x2000],
    [0x1000, 0x1000],
    [0, 0x7fffffff],
  ] as const;
  sections.forEach(([size, offset], at) => {
    file.writeUInt32LE(size, sectionTable + 40 * at + 16);
    file.writeUInt32LE(offset, sectionTable + 40 * at + 20);
  });
  file.write('HdrS', 0x202, 'latin1');
  file.writeUInt16LE(0x020f, 0x206); // boot protocol
  file.writeUInt8(0x01, 0x211); // loaded high
  file.writeUInt32LE(0x7fffffff, 0x22c); // initrd_addr_max
  file.writeUInt16LE(0x007f, 0x236); // may be loaded above 4 GiB
  return new Uint8Array(file.buffer, file.byteOffset, file.length);
}
