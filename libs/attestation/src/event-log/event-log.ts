import type { AppraisedEvidence } from '../appraise/appraised-evidence.js';
import type {
  BindEventLogResult,
  BoundEventLog,
  IdentityResult,
  Imr,
  ParseEventLogResult,
  TdxEvent,
} from './tdx-event.js';

export const RUNTIME_EVENT_TYPE = 0x08000001;

/** Parses the JSON text of an event log (array of TdxEvent); bounds: 1 MiB, 4096 events. */
export function parseEventLog(_json: string): ParseEventLogResult {
  throw new Error('not implemented');
}

/** SHA-384 digest of a dstack runtime event; version 1 preimage `type(u32 LE):name:payload`, version 2 canonical JSON. */
export function runtimeEventDigest(_event: string, _payload: Uint8Array, _version: 1 | 2 = 1): Uint8Array {
  throw new Error('not implemented');
}

/** SHA-384(register ‖ digest). */
export function extendRtmr(_register: Uint8Array, _digest: Uint8Array): Uint8Array {
  throw new Error('not implemented');
}

/** Replays one register from 48 zero bytes; `until` stops after the first runtime event of that name (inclusive). */
export function replayRtmr(_events: readonly TdxEvent[], _imr: Imr, _until?: string): Uint8Array {
  throw new Error('not implemented');
}

/** Checks `event-log.format`, `event-log.rtmr0` … `event-log.rtmr3`: the log replays to the quote's registers. */
export function bindEventLog(_evidence: AppraisedEvidence, _json: string): BindEventLogResult {
  throw new Error('not implemented');
}

/** Check `event-log.identity`: reads what was measured before system-ready; duplicate or malformed claims are refused. */
export function identityFromEventLog(_log: BoundEventLog): IdentityResult {
  throw new Error('not implemented');
}
