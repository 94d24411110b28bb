import { CheckSheet } from '../check-sheet.js';
import { type JsonReader, readJson } from '../json-reader.js';
import { Refusal } from '../refusal.js';
import { checkEvent, MAX_EVENTS } from './check-event.js';
import type { Imr, ParseEventLogResult, TdxEvent } from './tdx-event.js';

const MAX_TEXT_CHARS = 1024 * 1024;

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
  if (json.length > MAX_TEXT_CHARS) {
    throw new Refusal('EVENT_LOG_FORMAT', `the log is longer than ${MAX_TEXT_CHARS} characters`);
  }
  const list = readJson(json, 'event log', 'EVENT_LOG_FORMAT').array(MAX_EVENTS);
  return list.map(readEvent);
}

function readEvent(entry: JsonReader): TdxEvent {
  const version = entry.optional('version')?.integer(1, 2) ?? 1;
  const event: TdxEvent = {
    imr: entry.member('imr').integer(0, 3) as Imr,
    eventType: entry.member('event_type').integer(0, 0xffffffff),
    digest: entry.member('digest').hex(),
    event: entry.member('event').string(),
    payload: entry.member('event_payload').hex(),
    version: version === 2 ? 2 : 1,
    preimage: entry.optional('preimage')?.hex() ?? null,
  };
  return checkEvent(event, entry.path);
}

/** The JSON text dstack's agents answer with: hex fields, `version` and `preimage` left out where they say nothing. */
export function eventLogJson(events: readonly TdxEvent[]): string {
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
  return JSON.stringify(
    events.map((entry) => ({
      imr: entry.imr,
      event_type: entry.eventType,
      digest: hex(entry.digest),
      event: entry.event,
      event_payload: hex(entry.payload),
      ...(entry.version === 1 ? {} : { version: entry.version }),
      ...(entry.preimage === null ? {} : { preimage: hex(entry.preimage) }),
    })),
  );
}
