import { Refusal } from '../../refusal.js';

/** One section of the firmware's SEV metadata. */
export interface SnpFirmwareSection {
  /** Guest physical address. */
  readonly gpa: bigint;
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
  readonly hashesTableGpa: bigint;
  /** First instruction of every processor but the first. */
  readonly resetEip: number;
  readonly ovmfSections: readonly SnpFirmwareSection[];
}

const VERSION = 3;
const U32_MAX = 0xffffffff;
const U64_MAX = 0xffffffffffffffffn;
const SECTIONS_MAX = 64;
const FIELDS = [
  'version',
  'cmdline',
  'ovmf_hash',
  'kernel_hash',
  'initrd_hash',
  'hashes_table_gpa',
  'reset_eip',
  'ovmf_sections',
] as const;
const SECTION_FIELDS = ['gpa', 'size', 'type'] as const;

/**
 * Reads the decoded value of `measurement.snp.cbor`: a map (object or Map with text keys), byte strings as Uint8Array,
 * integers as number or bigint. Unknown fields are refused.
 * @throws Refusal `SNP_MEASUREMENT`
 */
export function readSnpMeasurement(decoded: unknown): SnpMeasurement {
  const map = readMap(decoded, FIELDS, 'the measurement');
  if (integer(map.get('version'), 'version') !== BigInt(VERSION)) throw refuse(`version is not ${VERSION}`);
  const cmdline = map.get('cmdline');
  if (typeof cmdline !== 'string') throw refuse('cmdline is not text');
  const sections = map.get('ovmf_sections');
  if (!Array.isArray(sections) || sections.length > SECTIONS_MAX) throw refuse('ovmf_sections is not a short array');
  return {
    cmdline,
    ovmfHash: bytes(map.get('ovmf_hash'), 'ovmf_hash'),
    kernelHash: bytes(map.get('kernel_hash'), 'kernel_hash'),
    initrdHash: bytes(map.get('initrd_hash'), 'initrd_hash'),
    hashesTableGpa: integer(map.get('hashes_table_gpa'), 'hashes_table_gpa'),
    resetEip: small(map.get('reset_eip'), 'reset_eip'),
    ovmfSections: sections.map(readSection),
  };
}

function readSection(value: unknown): SnpFirmwareSection {
  const map = readMap(value, SECTION_FIELDS, 'a section');
  return {
    gpa: integer(map.get('gpa'), 'gpa'),
    size: small(map.get('size'), 'size'),
    type: small(map.get('type'), 'type'),
  };
}

function readMap(value: unknown, known: readonly string[], what: string): ReadonlyMap<unknown, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof Uint8Array) {
    throw refuse(`${what} is not a map`);
  }
  const map: ReadonlyMap<unknown, unknown> = value instanceof Map ? value : new Map(Object.entries(value));
  for (const key of map.keys()) {
    if (typeof key !== 'string' || !known.includes(key)) throw refuse(`${what} has an unknown field`);
  }
  return map;
}

function bytes(value: unknown, field: string): Uint8Array {
  if (!(value instanceof Uint8Array)) throw refuse(`${field} is not a byte string`);
  return value;
}

function integer(value: unknown, field: string): bigint {
  const number = typeof value === 'number' && Number.isSafeInteger(value) ? BigInt(value) : value;
  if (typeof number !== 'bigint' || number < 0n || number > U64_MAX)
    throw refuse(`${field} is not an unsigned integer`);
  return number;
}

function small(value: unknown, field: string): number {
  const number = integer(value, field);
  if (number > BigInt(U32_MAX)) throw refuse(`${field} is more than 32 bits`);
  return Number(number);
}

function refuse(message: string): Refusal {
  return new Refusal('SNP_MEASUREMENT', `measurement.snp.cbor: ${message}`);
}
