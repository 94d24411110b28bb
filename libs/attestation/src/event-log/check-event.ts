import { equalBytes, hashBytes } from '../bytes.js';
import { Refusal } from '../refusal.js';
import { isRuntimeEvent, RTMR_BYTES } from './replay.js';
import { isWellFormed, RUNTIME_EVENT_TYPE, runtimeEventPreimage } from './runtime-event.js';
import type { TdxEvent } from './tdx-event.js';

/** Most events a log may hold, in any encoding. */
export const MAX_EVENTS = 4096;

/**
 * What every event must satisfy, whatever encoding it came in: a digest of 48 bytes (runtime events of version 1 may leave
 * it out), a well-formed name, and for version 2 a preimage that is canonical and hashes to the digest.
 * @throws Refusal `EVENT_LOG_FORMAT`
 */
export function checkEvent(event: TdxEvent, path: string): TdxEvent {
  const runtime = isRuntimeEvent(event);
  const stripped = runtime && event.version === 1 && event.digest.length === 0;
  if (event.digest.length !== RTMR_BYTES && !stripped)
    throw refuse(`${path}.digest has ${event.digest.length} bytes, not 48`);
  if (!isWellFormed(event.event)) throw refuse(`${path}.event is not well-formed Unicode`);
  if (event.version === 2) checkVersion2(path, event, runtime);
  return event;
}

function checkVersion2(path: string, event: TdxEvent, runtime: boolean): void {
  if (!runtime) throw refuse(`${path}: version 2 is for runtime events (type ${RUNTIME_EVENT_TYPE}, imr 3) only`);
  if (event.preimage === null) throw refuse(`${path}: a version 2 event needs its preimage`);
  if (!equalBytes(hashBytes('sha384', event.preimage), event.digest)) {
    throw refuse(`${path}.preimage does not hash to the digest`);
  }
  if (!equalBytes(event.preimage, runtimeEventPreimage(event.event, event.payload, 2))) {
    throw refuse(`${path}.preimage is not the canonical form of name, payload and type`);
  }
}

function refuse(message: string): Refusal {
  return new Refusal('EVENT_LOG_FORMAT', message);
}
