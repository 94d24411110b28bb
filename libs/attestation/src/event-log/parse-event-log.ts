import { equalBytes, hashBytes } from '../bytes.js';
import { CheckSheet } from '../check-sheet.js';
import { JsonReader, readJson } from '../json-reader.js';
import { Refusal } from '../refusal.js';
import { isRuntimeEvent, RTMR_BYTES } from './replay.js';
import { isWellFormed, RUNTIME_EVENT_TYPE, runtimeEventPreimage } from './runtime-event.js';
import type { Imr, ParseEventLogResult, TdxEvent } from './tdx-event.js';

const LIMITS = { textBytes: 1024 * 1024, events: 4096 } as const;

/**
 * Parses the JSON text of an event log: an array of `{imr, event_type, digest, event, event_payload, version?, preimage?}`
 * (dstack-kms §10.3). At most 1 MiB and 4096 events. Runtime events may leave the digest empty (stripped logs); all others
 * need 48 bytes. Version 2 events must carry the preimage, equal to the canonical form and hashing to the listed digest.
 */
export function parseEventLog(json: string): ParseEventLogResult {
  const sheet = new CheckSheet(['event-log.format'] as const);
  const result = sheet.settle(() =>
    sheet.step(
      'event-log.format',
      () => readEventLog(json),
      (events) => `${events.length} events`,
    ),
  );
  return result.ok ? { ok: true, events: result.value } : result;
}

/** @throws Refusal `EVENT_LOG_FORMAT` */
export function readEventLog(json: string): readonly TdxEvent[] {
  if (json.length > LIMITS.textBytes) throw refuse(`the log is longer than ${LIMITS.textBytes} characters`);
  const list = readJson(json, 'event log', 'EVENT_LOG_FORMAT').array(LIMITS.events);
  return list.map(readEvent);
}

function readEvent(entry: JsonReader): TdxEvent {
  const imr = entry.member('imr').integer(0, 3) as Imr;
  const version = entry.optional('version')?.integer(1, 2) ?? 1;
  const event: TdxEvent = {
    imr,
    eventType: entry.member('event_type').integer(0, 0xffffffff),
    digest: entry.member('digest').hex(),
    event: entry.member('event').string(),
    payload: entry.member('event_payload').hex(),
    version: version === 2 ? 2 : 1,
    preimage: entry.optional('preimage')?.hex() ?? null,
  };
  const runtime = isRuntimeEvent(event);
  const stripped = runtime && event.version === 1 && event.digest.length === 0;
  if (event.digest.length !== RTMR_BYTES && !stripped)
    throw refuse(`${entry.path}.digest has ${event.digest.length} bytes, not 48`);
  if (!isWellFormed(event.event)) throw refuse(`${entry.path}.event is not well-formed Unicode`);
  if (event.version === 2) checkVersion2(entry.path, event, runtime);
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
