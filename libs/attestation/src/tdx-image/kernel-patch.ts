import { Refusal } from '../refusal.js';
import { HIGH_MEMORY_SPLIT } from './td-hob.js';

/** Fields of the Linux setup header (Linux x86 boot protocol), as file offsets. */
const SETUP = {
  magic: 0x202,
  protocol: 0x206,
  loaderType: 0x210,
  loadFlags: 0x211,
  initrdAddress: 0x218,
  initrdSize: 0x21c,
  heapEnd: 0x224,
  commandLine: 0x228,
  initrdMax: 0x22c,
  extendedFlags: 0x236,
} as const;
const MIN_KERNEL_BYTES = 0x1000;
const HDRS = 'HdrS';
/** First protocol whose command line pointer QEMU fills in; all that carry an EFI stub are far newer. */
const OLDEST_PROTOCOL = 0x0203;
const ABOVE_4G_PROTOCOL = 0x020c;
const LOAD_FLAG = { loadedHigh: 0x01, canUseHeap: 0x80 } as const;
const CAN_BE_LOADED_ABOVE_4G = 0x40;

/** What QEMU's x86_load_linux uses. */
const QEMU = {
  loaderType: 0xb0,
  realModeAddress: 0x1_0000,
  commandLineAddress: 0x2_0000,
  realModeHeader: 0x200,
  acpiDataBytes: 0x2_8000,
} as const;
const PAGE_MASK = 0xffff_f000;
const LOW_MEMORY = 0x8000_0000;

/**
 * The kernel as QEMU (before 10) rewrites it before the firmware measures it: loader type, heap, command line address, and
 * an initrd address that depends on memory below 4 GiB (dstack-kms §14.1). Sizes in bytes.
 * @throws Refusal `KERNEL_FORMAT` or `MEMORY_SIZE`
 */
export function patchKernel(kernel: Uint8Array, initrdBytes: number, memoryBytes: number): Uint8Array {
  if (kernel.length < MIN_KERNEL_BYTES) throw new Refusal('KERNEL_FORMAT', 'the kernel is too short');
  const patched = Buffer.from(kernel);
  const protocol = patched.readUInt16LE(SETUP.protocol);
  const flags = patched.readUInt8(SETUP.loadFlags);
  if (patched.toString('latin1', SETUP.magic, SETUP.magic + HDRS.length) !== HDRS || protocol < OLDEST_PROTOCOL) {
    throw new Refusal('KERNEL_FORMAT', 'the kernel has no setup header of boot protocol 2.3 or later');
  }
  if ((flags & LOAD_FLAG.loadedHigh) === 0) throw new Refusal('KERNEL_FORMAT', 'the kernel is not loaded high');
  patched.writeUInt8(QEMU.loaderType, SETUP.loaderType);
  patched.writeUInt8(flags | LOAD_FLAG.canUseHeap, SETUP.loadFlags);
  patched.writeUInt16LE(QEMU.commandLineAddress - QEMU.realModeAddress - QEMU.realModeHeader, SETUP.heapEnd);
  patched.writeUInt32LE(QEMU.commandLineAddress, SETUP.commandLine);
  if (initrdBytes > 0) {
    patched.writeUInt32LE(initrdAddress(patched, protocol, initrdBytes, memoryBytes), SETUP.initrdAddress);
    patched.writeUInt32LE(initrdBytes, SETUP.initrdSize);
  }
  return new Uint8Array(patched.buffer, patched.byteOffset, patched.length);
}

function initrdAddress(kernel: Buffer, protocol: number, initrdBytes: number, memoryBytes: number): number {
  const anywhere =
    protocol >= ABOVE_4G_PROTOCOL && (kernel.readUInt16LE(SETUP.extendedFlags) & CAN_BE_LOADED_ABOVE_4G) !== 0;
  const below4g = memoryBytes >= HIGH_MEMORY_SPLIT ? LOW_MEMORY : memoryBytes;
  const available = below4g - QEMU.acpiDataBytes - 1;
  const highest = Math.min(anywhere ? 0xffff_ffff : kernel.readUInt32LE(SETUP.initrdMax), available);
  if (initrdBytes >= highest) throw new Refusal('MEMORY_SIZE', 'the initrd does not fit below 4 GiB');
  return ((highest - initrdBytes) & PAGE_MASK) >>> 0;
}

/** True for memory sizes at which the patched kernel is the same: exactly 2 GiB, and 2.75 GiB or more. */
export function usesCommonKernel(memoryBytes: number): boolean {
  return memoryBytes === LOW_MEMORY || memoryBytes >= HIGH_MEMORY_SPLIT;
}
