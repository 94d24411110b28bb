import { toHex } from '../../bytes.js';
import { type Decoded, decode } from '../../encodings/decoded.js';
import { CborReader, CborWriter } from '../../tdx-image/cbor.js';

/** One section of the firmware's SEV metadata. */
export interface SnpFirmwareSection {
  /** Guest physical address, below 4 GiB. */
  readonly gpa: number;
  /** In bytes. */
  readonly size: number;
  readonly type: number;
}

/** Content of `measurement.snp.cbor` (dstack-kms §14.2): what an OS image contributes to the launch digest. */
export interface SnpMeasurement {
  readonly cmdline: string;
  /** Launch digest over the firmware's pages, 48 bytes. */
  readonly ovmfHash: Uint8Array;
  /** SHA-256, 32 bytes. */
  readonly kernelHash: Uint8Array;
  /** SHA-256, 32 bytes, or empty. */
  readonly initrdHash: Uint8Array;
  readonly hashesTableGpa: number;
  /** First instruction of every processor but the first. */
  readonly resetEip: number;
  readonly ovmfSections: readonly SnpFirmwareSection[];
}

const CODE = 'SNP_MEASUREMENT_FORMAT';
const VERSION = 3;
const MAX = { documentBytes: 64 * 1024, sections: 64 } as const;

/** Reads `measurement.snp.cbor`. Check `snp-measurement.format`; code `SNP_MEASUREMENT_FORMAT`. */
export function readSnpMeasurement(bytes: Uint8Array): Decoded<SnpMeasurement> {
  return decode(
    'snp-measurement.format',
    () => readMeasurement(bytes),
    ({ kernelHash, ovmfSections }) => `kernel ${toHex(kernelHash)}, ${ovmfSections.length} firmware sections`,
  );
}

/** @throws Refusal `SNP_MEASUREMENT_FORMAT` */
export function readMeasurement(bytes: Uint8Array): SnpMeasurement {
  const reader = new CborReader(bytes, CODE);
  if (bytes.length > MAX.documentBytes) throw reader.refuse(`the document has more than ${MAX.documentBytes} bytes`);
  const texts = { cmdline: '' };
  const digests = { ovmf_hash: new Uint8Array(), kernel_hash: new Uint8Array(), initrd_hash: new Uint8Array() };
  const numbers = { hashes_table_gpa: 0, reset_eip: 0 };
  let sections: readonly SnpFirmwareSection[] = [];
  const digest = (field: keyof typeof digests) => (): void => {
    digests[field] = reader.byteString(field).slice();
  };
  const number = (field: keyof typeof numbers) => (): void => {
    numbers[field] = reader.unsigned(field);
  };
  reader.map('measurement', {
    version: () => {
      const version = reader.unsigned('version');
      if (version !== VERSION) throw reader.refuse(`measurement version ${version} is unknown`);
    },
    cmdline: () => {
      texts.cmdline = reader.string('cmdline');
    },
    ovmf_hash: digest('ovmf_hash'),
    kernel_hash: digest('kernel_hash'),
    initrd_hash: digest('initrd_hash'),
    hashes_table_gpa: number('hashes_table_gpa'),
    reset_eip: number('reset_eip'),
    ovmf_sections: () => {
      sections = reader.array('ovmf_sections', MAX.sections, () => readSection(reader));
    },
  });
  reader.expectEnd('the document');
  return {
    cmdline: texts.cmdline,
    ovmfHash: digests.ovmf_hash,
    kernelHash: digests.kernel_hash,
    initrdHash: digests.initrd_hash,
    hashesTableGpa: numbers.hashes_table_gpa,
    resetEip: numbers.reset_eip,
    ovmfSections: sections,
  };
}

function readSection(reader: CborReader): SnpFirmwareSection {
  const section = { gpa: 0, size: 0, type: 0 };
  const number = (field: keyof typeof section) => (): void => {
    section[field] = reader.unsigned(field);
  };
  reader.map('section', { gpa: number('gpa'), size: number('size'), type: number('type') });
  return section;
}

/** Writes `measurement.snp.cbor` as dstack's image builder does, byte for byte. */
export function writeSnpMeasurement(measurement: SnpMeasurement): Uint8Array {
  const writer = new CborWriter().map(8).string('version').unsigned(VERSION);
  writer.string('cmdline').string(measurement.cmdline);
  writer.string('ovmf_hash').byteString(measurement.ovmfHash);
  writer.string('kernel_hash').byteString(measurement.kernelHash);
  writer.string('initrd_hash').byteString(measurement.initrdHash);
  writer.string('hashes_table_gpa').unsigned(measurement.hashesTableGpa);
  writer.string('reset_eip').unsigned(measurement.resetEip);
  writer.string('ovmf_sections').array(measurement.ovmfSections.length);
  for (const { gpa, size, type } of measurement.ovmfSections) {
    writer.map(3).string('gpa').unsigned(gpa).string('size').unsigned(size).string('type').unsigned(type);
  }
  return writer.finish();
}
