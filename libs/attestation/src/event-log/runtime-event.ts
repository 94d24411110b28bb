import { concatBytes, hashBytes, toHex } from '../bytes.js';

/** Event type of dstack runtime events, both versions; they extend RTMR 3 (and PCR 14 where there is a vTPM). */
export const RUNTIME_EVENT_TYPE = 0x08000001;

/** A runtime event without its register: what `runtime_events` of an attestation lists. */
export interface RuntimeEvent {
  readonly event: string;
  readonly payload: Uint8Array;
  readonly version: 1 | 2;
}

/** The 32-bit event type in little-endian order, then the separator of version 1. */
const V1_PREFIX = new Uint8Array([0x01, 0x00, 0x00, 0x08, 0x3a]);

/** True when the text holds no lone surrogate. */
export function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}

/**
 * What a runtime event's digest is taken over (dstack-kms §11). Version 1: type (u32 LE) ":" name ":" payload. Version 2:
 * RFC 8785 JSON `{"name","payload"(hex),"type"}`, UTF-8.
 * @throws RangeError when a version 2 name is not well-formed Unicode (RFC 8785 has no form for it).
 */
export function runtimeEventPreimage(event: string, payload: Uint8Array, version: 1 | 2 = 1): Uint8Array {
  if (version === 1) return concatBytes(V1_PREFIX, Buffer.from(`${event}:`, 'utf8'), payload);
  if (!isWellFormed(event)) throw new RangeError('event name is not well-formed Unicode');
  // Keys are in canonical order already, and JSON.stringify writes strings as RFC 8785 does.
  const text = JSON.stringify({ name: event, payload: toHex(payload), type: RUNTIME_EVENT_TYPE });
  return new Uint8Array(Buffer.from(text, 'utf8'));
}

/** SHA-384 of the preimage, 48 bytes: what the guest extends RTMR 3 with (SHA-256, 32 bytes, for GCP's PCR 14). */
export function runtimeEventDigest(
  event: string,
  payload: Uint8Array,
  version: 1 | 2 = 1,
  algorithm: 'sha384' | 'sha256' = 'sha384',
): Uint8Array {
  return hashBytes(algorithm, runtimeEventPreimage(event, payload, version));
}

/**
 * PCR 14 as GCP's (SHA-256) or AWS's (SHA-384) vTPM holds it: replay of the runtime events from zero. `until` stops behind
 * the first event of that name.
 */
export function replayRuntimePcr(
  events: readonly RuntimeEvent[],
  algorithm: 'sha384' | 'sha256',
  until?: string,
): Uint8Array {
  let register: Uint8Array = new Uint8Array(algorithm === 'sha384' ? 48 : 32);
  for (const { event, payload, version } of events) {
    register = hashBytes(algorithm, register, runtimeEventDigest(event, payload, version, algorithm));
    if (event === until) break;
  }
  return register;
}
