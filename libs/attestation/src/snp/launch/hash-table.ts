import { concatBytes, hashBytes } from '../../bytes.js';
import { guidBytes } from '../../tdx-image/guid.js';
import { PAGE_BYTES } from './launch-context.js';

/** Kernel hashes that QEMU writes into the measured page and the firmware compares at boot. */
const GUID = {
  table: '9438d606-4f22-4cc9-b479-a793d411fd21',
  cmdline: '97d02dd8-bd20-4c94-aa78-e7714d36ab2a',
  initrd: '44baf731-3a2f-4bd7-9af1-41e29169781d',
  kernel: '4de79437-abd2-427f-b835-d5b172d2045b',
} as const;

/** Size of an entry and of the whole table (header, three entries), in bytes. */
const ENTRY_BYTES = 50;
const TABLE_BYTES = 168;

export interface KernelHashes {
  /** As measured; surrounding white space is not part of it. */
  readonly cmdline: string;
  /** SHA-256, 32 bytes. */
  readonly kernelHash: Uint8Array;
  /** SHA-256, 32 bytes; empty when there is no initial ramdisk. */
  readonly initrdHash: Uint8Array;
}

/** One page that holds the table at `offset` and zeros elsewhere (dstack-kms §14.3). */
export function hashTablePage({ cmdline, kernelHash, initrdHash }: KernelHashes, offset: number): Uint8Array {
  const line = Buffer.from(`${cmdline.trim()}\0`, 'utf8');
  const initrd = initrdHash.length === 0 ? hashBytes('sha256') : initrdHash;
  const content = concatBytes(
    guidBytes(GUID.table),
    u16(TABLE_BYTES),
    entry(GUID.cmdline, hashBytes('sha256', line)),
    entry(GUID.initrd, initrd),
    entry(GUID.kernel, kernelHash),
  );
  if (offset + TABLE_BYTES > PAGE_BYTES) throw new RangeError(`the hash table does not fit its page at ${offset}`);
  const page = new Uint8Array(PAGE_BYTES);
  page.set(content, offset);
  return page;
}

function entry(guid: string, hash: Uint8Array): Uint8Array {
  return concatBytes(guidBytes(guid), u16(ENTRY_BYTES), hash);
}

function u16(value: number): Uint8Array {
  return new Uint8Array([value & 0xff, value >> 8]);
}
