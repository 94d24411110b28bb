import type { RuntimeEvent, TdxEventJson } from '../tsm/runtime-event-log.js';

/** First byte of the SCALE form, and the variant number of a TDX quote in it (dstack-guest §5.3). */
const VERSION_0 = 0x00;
const QUOTE_TDX = 0x00;

export interface AttestationParts {
  readonly quote: Uint8Array;
  readonly eventLog: readonly TdxEventJson[];
  readonly runtimeEvents: readonly RuntimeEvent[];
  /** 64 bytes. */
  readonly reportData: Uint8Array;
  /** vm_config text. */
  readonly config: string;
}

/**
 * VersionedAttestation V0 (SCALE): 00 || TDX variant 00 || Vec quote || Vec<TdxEvent{imr u32, event_type u32, digest Vec,
 * event String, event_payload Vec}> || Vec<RuntimeEvent{event String, payload Vec}> || report_data[64] || config String.
 * Integers little-endian, lengths SCALE compact.
 */
export function versionedAttestation(parts: AttestationParts): Uint8Array {
  return Buffer.concat([
    Uint8Array.of(VERSION_0, QUOTE_TDX),
    vector(parts.quote),
    compact(parts.eventLog.length),
    ...parts.eventLog.flatMap((event) => [
      u32(event.imr),
      u32(event.event_type),
      vector(Buffer.from(event.digest, 'hex')),
      vector(Buffer.from(event.event, 'utf8')),
      vector(Buffer.from(event.event_payload, 'hex')),
    ]),
    compact(parts.runtimeEvents.length),
    ...parts.runtimeEvents.flatMap(({ event, payload }) => [vector(Buffer.from(event, 'utf8')), vector(payload)]),
    parts.reportData,
    vector(Buffer.from(parts.config, 'utf8')),
  ]);
}

function vector(bytes: Uint8Array): Uint8Array {
  return Buffer.concat([compact(bytes.length), bytes]);
}

/** SCALE compact integer, for lengths below 2^30: the low two bits say how many bytes follow. */
function compact(length: number): Uint8Array {
  if (length < 1 << 6) return Uint8Array.of(length << 2);
  const buffer = Buffer.alloc(length < 1 << 14 ? 2 : 4);
  if (buffer.length === 2) buffer.writeUInt16LE((length << 2) | 1);
  else buffer.writeUInt32LE(length * 4 + 2);
  return buffer;
}

function u32(value: number): Uint8Array {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32LE(value);
  return buffer;
}
