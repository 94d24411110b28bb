import { createHash } from 'node:crypto';
import { extendRtmr, RTMR_BYTES } from '../event-log/replay.js';
import type { BootEvent } from './boot-event.js';
import type { ProcessVmConfig } from './process-vm-config.js';

/** Boot measurements, 48 bytes each, and the log whose replay gives RTMR 0-2. */
export interface ProcessMeasurements {
  readonly mrTd: Uint8Array;
  readonly rtMr0: Uint8Array;
  readonly rtMr1: Uint8Array;
  readonly rtMr2: Uint8Array;
  readonly bootEvents: readonly BootEvent[];
}

/** TCG event types (PC Client Platform Firmware Profile, event types table). */
const EVENT_TYPE = {
  separator: 0x00000004,
  platformConfigFlags: 0x0000000a,
  ipl: 0x0000000d,
  efiBootServicesApplication: 0x80000003,
  efiHandoffTables2: 0x8000000b,
} as const;

const SEPARATOR = new Uint8Array(4);
/** Stands for the firmware volume: changes only when this layout changes. */
const FIRMWARE = 'vouch process guest firmware, layout 1';
const COMMAND_LINE = 'vouch.driver=process vouch.layout=1';

/**
 * Expected boot measurements of a process guest, laid out after dstack's real boot (dstack-kms §14.1): the firmware in
 * MRTD, the machine in RTMR0, the kernel in RTMR1, command line and initial file system in RTMR2.
 *
 * | register | event | type | payload |
 * |---|---|---|---|
 * | MRTD | - | - | SHA-384 of the firmware text |
 * | RTMR0 | td-hob | 0x8000000b | memory size in bytes, u64 LE |
 * | RTMR0 | cpu-count | 0x0a | number of vCPUs, u32 LE |
 * | RTMR0 | separator | 0x04 | 00000000 |
 * | RTMR1 | process-image | 0x80000003 | os_image_hash, 32 bytes |
 * | RTMR1 | separator | 0x04 | 00000000 |
 * | RTMR2 | command-line | 0x0d | UTF-8 text |
 * | RTMR2 | image-hash | 0x0d | os_image_hash, 32 bytes |
 *
 * digest = SHA-384(event name ‖ 00 ‖ payload); RTMR ← SHA-384(RTMR ‖ digest) from 48 zero bytes.
 * Throws TypeError for an os image hash that is not 64 hex digits, or sizes that are not positive integers.
 */
export function processMeasurements(config: ProcessVmConfig): ProcessMeasurements {
  if (!/^[0-9a-f]{64}$/.test(config.osImageHash)) throw new TypeError('osImageHash must be 64 lower-case hex digits');
  if (!Number.isSafeInteger(config.vcpu) || config.vcpu < 1) throw new TypeError('vcpu must be a positive integer');
  if (!Number.isSafeInteger(config.memoryMiB) || config.memoryMiB < 1) {
    throw new TypeError('memoryMiB must be a positive integer');
  }
  const image = Buffer.from(config.osImageHash, 'hex');
  const memory = Buffer.alloc(8);
  memory.writeBigUInt64LE(BigInt(config.memoryMiB) * 1024n * 1024n);
  const cpus = Buffer.alloc(4);
  cpus.writeUInt32LE(config.vcpu);
  const bootEvents: readonly BootEvent[] = [
    bootEvent(0, EVENT_TYPE.efiHandoffTables2, 'td-hob', memory),
    bootEvent(0, EVENT_TYPE.platformConfigFlags, 'cpu-count', cpus),
    bootEvent(0, EVENT_TYPE.separator, 'separator', SEPARATOR),
    bootEvent(1, EVENT_TYPE.efiBootServicesApplication, 'process-image', image),
    bootEvent(1, EVENT_TYPE.separator, 'separator', SEPARATOR),
    bootEvent(2, EVENT_TYPE.ipl, 'command-line', new TextEncoder().encode(COMMAND_LINE)),
    bootEvent(2, EVENT_TYPE.ipl, 'image-hash', image),
  ];
  return {
    mrTd: sha384(new TextEncoder().encode(FIRMWARE)),
    rtMr0: replay(bootEvents, 0),
    rtMr1: replay(bootEvents, 1),
    rtMr2: replay(bootEvents, 2),
    bootEvents,
  };
}

function bootEvent(imr: 0 | 1 | 2, eventType: number, event: string, payload: Uint8Array): BootEvent {
  const digest = sha384(new TextEncoder().encode(event), new Uint8Array(1), payload);
  return {
    imr,
    event_type: eventType,
    digest: Buffer.from(digest).toString('hex'),
    event,
    event_payload: Buffer.from(payload).toString('hex'),
  };
}

function replay(events: readonly BootEvent[], imr: number): Uint8Array {
  return events
    .filter((event) => event.imr === imr)
    .reduce<Uint8Array>(
      (register, event) => extendRtmr(register, Buffer.from(event.digest, 'hex')),
      new Uint8Array(RTMR_BYTES),
    );
}

function sha384(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash('sha384');
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}
