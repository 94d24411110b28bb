import { hashBytes } from '../bytes.js';
import { RUNTIME_EVENT_TYPE, runtimeEventDigest } from './runtime-event.js';
import type { Imr, TdxEvent } from './tdx-event.js';

/** Size of a runtime measurement register and of the digests it is extended with, in bytes. */
export const RTMR_BYTES = 48;

/** SHA-384(register ‖ digest), as the TDX module does it. Both 48 bytes. @throws RangeError on other sizes. */
export function extendRtmr(register: Uint8Array, digest: Uint8Array): Uint8Array {
  if (register.length !== RTMR_BYTES || digest.length !== RTMR_BYTES) {
    throw new RangeError(
      `an RTMR and its digest have ${RTMR_BYTES} bytes, not ${register.length} and ${digest.length}`,
    );
  }
  return hashBytes('sha384', register, digest);
}

/** True for events whose name and payload are bound by RTMR 3; of all others only the digest is. */
export function isRuntimeEvent(event: TdxEvent): boolean {
  return event.imr === 3 && event.eventType === RUNTIME_EVENT_TYPE;
}

/**
 * Replays one register from 48 zero bytes. Digests of runtime events are recomputed from name and payload, the listed
 * one is ignored; of other events the listed digest counts. `until` stops behind the first runtime event of that name.
 * @throws RangeError when a boot event's digest is not 48 bytes (parsed logs have none such).
 */
export function replayRtmr(events: readonly TdxEvent[], imr: Imr, until?: string): Uint8Array {
  let register: Uint8Array = new Uint8Array(RTMR_BYTES);
  for (const event of events) {
    if (event.imr !== imr) continue;
    const runtime = isRuntimeEvent(event);
    const digest = runtime ? runtimeEventDigest(event.event, event.payload, event.version) : event.digest;
    register = extendRtmr(register, digest);
    if (runtime && event.event === until) break;
  }
  return register;
}
