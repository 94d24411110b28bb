import { hashBytes } from '../bytes.js';
import { ByteSink } from '../encodings/byte-sink.js';
import { Refusal } from '../refusal.js';
import { PAGE_BYTES, TDVF_SECTION, type Tdvf } from './tdvf.js';

/** Memory the firmware asks the VMM to add before it starts, and where its hand-off block list goes. Byte addresses. */
export interface TdHobLayout {
  readonly hobAddress: number;
  /** Sorted, not overlapping, not merged; each `start` to `start + size`. */
  readonly accepted: readonly { readonly start: number; readonly size: number }[];
}

/** Hand-off block types, sizes and values (UEFI PI specification, volume 3 §5). */
const HOB = { phit: 1, resource: 3, phitBytes: 56, resourceBytes: 48, phitVersion: 9, endBytes: 8 } as const;
const RESOURCE = { systemMemory: 0, unacceptedMemory: 7, attributes: 7 } as const;

/** QEMU's q35 splits memory of this size and more: 2 GiB below 4 GiB, the rest above. */
export const HIGH_MEMORY_SPLIT = 0xb000_0000;
const LOW_MEMORY = 0x8000_0000;
const HIGH_MEMORY_START = 0x1_0000_0000;

/** @throws Refusal `TDVF_FORMAT` unless there is one TD_HOB section and no two overlap. */
export function tdHobLayout(tdvf: Tdvf): TdHobLayout {
  const relevant = tdvf.sections.filter(({ type }) => type === TDVF_SECTION.tdHob || type === TDVF_SECTION.tempMem);
  const [hob, ...others] = relevant.filter(({ type }) => type === TDVF_SECTION.tdHob);
  if (hob === undefined || others.length > 0) {
    throw new Refusal('TDVF_FORMAT', 'the metadata has no TD_HOB section, or more than one');
  }
  const accepted = relevant
    .map(({ memoryAddress, memorySize }) => ({ start: memoryAddress, size: memorySize }))
    .toSorted((a, b) => a.start - b.start);
  checkRanges(accepted, 'TDVF_FORMAT');
  return { hobAddress: hob.memoryAddress, accepted };
}

/** @throws Refusal with `code` when a range is empty, or starts before the one in front of it ends. */
export function checkRanges(ranges: TdHobLayout['accepted'], code: string): void {
  let end = 0;
  for (const { start, size } of ranges) {
    if (size === 0) throw new Refusal(code, 'a TD_HOB or TEMP_MEM range is empty');
    if (start < end) throw new Refusal(code, 'TD_HOB and TEMP_MEM ranges overlap or are not sorted');
    end = start + size;
  }
}

/**
 * SHA-384 of the hand-off block list QEMU builds for a TD of this memory, 48 bytes: the first measurement of RTMR 0
 * (dstack-kms §14.1). The end-of-list block is not measured.
 * @throws Refusal `MEMORY_SIZE` when the memory does not hold the ranges with room above them.
 */
export function tdHobDigest(layout: TdHobLayout, memoryBytes: number): Uint8Array {
  return hashBytes('sha384', tdHobList(layout, memoryBytes));
}

/** The measured bytes themselves. */
export function tdHobList(layout: TdHobLayout, memoryBytes: number): Uint8Array {
  const resources = memoryResources(layout, memoryBytes);
  const listBytes = HOB.phitBytes + resources.length * HOB.resourceBytes;
  const sink = new ByteSink().u16(HOB.phit).u16(HOB.phitBytes).u32(0).u32(HOB.phitVersion).u32(0);
  for (let field = 0; field < 4; field++) sink.u64(0n); // memory top and bottom, free memory top and bottom
  sink.u64(BigInt(layout.hobAddress + listBytes + HOB.endBytes));
  for (const { type, start, size } of resources) {
    sink.u16(HOB.resource).u16(HOB.resourceBytes).u32(0).raw(new Uint8Array(16));
    sink.u32(type).u32(RESOURCE.attributes).u64(BigInt(start)).u64(BigInt(size));
  }
  return sink.finish();
}

interface Resource {
  readonly type: number;
  readonly start: number;
  readonly size: number;
}

function memoryResources({ accepted }: TdHobLayout, memoryBytes: number): readonly Resource[] {
  const resources: Resource[] = [];
  const unaccepted = (start: number, end: number): void => {
    if (end > start) resources.push({ type: RESOURCE.unacceptedMemory, start, size: end - start });
  };
  let at = 0;
  for (const { start, size } of accepted) {
    unaccepted(at, start);
    resources.push({ type: RESOURCE.systemMemory, start, size });
    at = start + size;
  }
  const lowEnd = memoryBytes >= HIGH_MEMORY_SPLIT ? LOW_MEMORY : memoryBytes;
  if (at >= lowEnd || memoryBytes % PAGE_BYTES !== 0) {
    throw new Refusal('MEMORY_SIZE', `${memoryBytes} bytes of memory do not hold what the firmware needs`);
  }
  unaccepted(at, lowEnd);
  if (memoryBytes > lowEnd) unaccepted(HIGH_MEMORY_START, HIGH_MEMORY_START + memoryBytes - lowEnd);
  return resources;
}
