import { PAGE_BYTES } from './launch-context.js';

/** Guest physical address at which every save area is measured. */
export const SAVE_AREA_ADDRESS = 0xfffffffff000n;

/** First instruction of the boot processor. */
export const BOOT_EIP = 0xfffffff0;

/** Segment registers: offset of each, with its attributes (AMD64 APM vol. 2, VMSA layout). */
const SEGMENTS = [
  { offset: 0x000, attributes: 0x93 },
  { offset: 0x020, attributes: 0x93 },
  { offset: 0x030, attributes: 0x93 },
  { offset: 0x040, attributes: 0x93 },
  { offset: 0x050, attributes: 0x93 },
  { offset: 0x060, attributes: 0x00 },
  { offset: 0x070, attributes: 0x82 },
  { offset: 0x080, attributes: 0x00 },
  { offset: 0x090, attributes: 0x8b },
] as const;
const CODE_SEGMENT = { offset: 0x010, selector: 0xf000, attributes: 0x9b } as const;
const SEGMENT = { attributesAt: 2, limitAt: 4, baseAt: 8, limit: 0xffff } as const;

/** Registers of 64 bits with a fixed start value. */
const FIXED_U64 = [
  { name: 'EFER.SVME', offset: 0x0d0, value: 0x1000n },
  { name: 'CR4', offset: 0x148, value: 0x40n },
  { name: 'CR0', offset: 0x158, value: 0x10n },
  { name: 'DR7', offset: 0x160, value: 0x400n },
  { name: 'DR6', offset: 0x168, value: 0xffff0ff0n },
  { name: 'RFLAGS', offset: 0x170, value: 2n },
  { name: 'G_PAT', offset: 0x268, value: 0x0007040600070406n },
  { name: 'XCR0', offset: 0x3e8, value: 1n },
] as const;
const VARIABLE = { rip: 0x178, rdx: 0x310, sevFeatures: 0x3b0 } as const;
const MXCSR = { offset: 0x408, value: 0x1f80 } as const;
const X87_CONTROL = { offset: 0x410, value: 0x37f } as const;

/** The first state of a virtual processor as QEMU sets it: one page (dstack-kms §14.3). */
export function saveAreaPage(eip: number, cpuSignature: number, guestFeatures: bigint): Uint8Array {
  const page = new Uint8Array(PAGE_BYTES);
  const view = new DataView(page.buffer);
  const segment = (offset: number, selector: number, attributes: number, base: number): void => {
    view.setUint16(offset, selector, true);
    view.setUint16(offset + SEGMENT.attributesAt, attributes, true);
    view.setUint32(offset + SEGMENT.limitAt, SEGMENT.limit, true);
    view.setBigUint64(offset + SEGMENT.baseAt, BigInt(base), true);
  };
  for (const { offset, attributes } of SEGMENTS) segment(offset, 0, attributes, 0);
  segment(CODE_SEGMENT.offset, CODE_SEGMENT.selector, CODE_SEGMENT.attributes, (eip & 0xffff0000) >>> 0);
  for (const { offset, value } of FIXED_U64) view.setBigUint64(offset, value, true);
  view.setBigUint64(VARIABLE.rip, BigInt(eip & 0xffff), true);
  view.setBigUint64(VARIABLE.rdx, BigInt(cpuSignature), true);
  view.setBigUint64(VARIABLE.sevFeatures, guestFeatures, true);
  view.setUint32(MXCSR.offset, MXCSR.value, true);
  view.setUint16(X87_CONTROL.offset, X87_CONTROL.value, true);
  return page;
}
