import { ByteSink } from '../encodings/byte-sink.js';
import { ByteSource } from '../encodings/byte-source.js';
import { checkRanges, type TdHobLayout } from './td-hob.js';
import { PAGE_BYTES } from './tdvf.js';

const CODE = 'TD_HOB_WITNESS';
const MAX_RANGES = 64;
/** 2^46 bytes of address space. */
const MAX_PAGE = 2 ** 34;
const MAX_VARUINT_BYTES = 5;

/**
 * Compact form of a layout (dstack's TdHobWitnessV1): unsigned LEB128 of base page, HOB page less base, number of ranges,
 * and of start less base and page count for each.
 */
export function writeTdHobWitness({ hobAddress, accepted }: TdHobLayout): Uint8Array {
  const [first] = accepted;
  if (first === undefined) throw new RangeError('a TD HOB witness has at least one range');
  const base = first.start / PAGE_BYTES;
  const sink = new ByteSink();
  for (const value of [base, hobAddress / PAGE_BYTES - base, accepted.length]) writeVaruint(sink, value);
  for (const { start, size } of accepted) {
    writeVaruint(sink, start / PAGE_BYTES - base);
    writeVaruint(sink, size / PAGE_BYTES);
  }
  return sink.finish();
}

/** @throws Refusal `TD_HOB_WITNESS`: forms that are not minimal, overlaps and trailing bytes included. */
export function readTdHobWitness(bytes: Uint8Array): TdHobLayout {
  const source = new ByteSource(bytes, CODE);
  const base = readVaruint(source, 'base page');
  const hobAddress = (base + readVaruint(source, 'HOB page')) * PAGE_BYTES;
  const count = readVaruint(source, 'range count');
  if (count === 0 || count > MAX_RANGES) throw source.refuse(`the witness has ${count} ranges`);
  const accepted: { start: number; size: number }[] = [];
  for (let i = 0; i < count; i++) {
    const start = (base + readVaruint(source, `range ${i}`)) * PAGE_BYTES;
    accepted.push({ start, size: readVaruint(source, `pages of range ${i}`) * PAGE_BYTES });
  }
  source.expectEnd('the witness');
  if (accepted[0]?.start !== base * PAGE_BYTES) throw source.refuse('the base page is not that of the first range', 0);
  checkRanges(accepted, CODE);
  return { hobAddress, accepted };
}

function writeVaruint(sink: ByteSink, value: number): void {
  if (!Number.isInteger(value) || value < 0 || value > MAX_PAGE) throw new RangeError(`${value} is no page number`);
  let rest = value;
  while (rest >= 0x80) {
    sink.u8((rest % 0x80) + 0x80);
    rest = Math.floor(rest / 0x80);
  }
  sink.u8(rest);
}

function readVaruint(source: ByteSource, field: string): number {
  let value = 0;
  for (let at = 0; at < MAX_VARUINT_BYTES; at++) {
    const byte = source.u8(field);
    value += (byte & 0x7f) * 2 ** (7 * at);
    if (byte >= 0x80) continue;
    if (byte === 0 && at > 0) throw source.refuse(`${field} is not in its shortest form`);
    if (value > MAX_PAGE) break;
    return value;
  }
  throw source.refuse(`${field} is out of range`);
}
