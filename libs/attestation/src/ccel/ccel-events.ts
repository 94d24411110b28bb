import { type Decoded, decode } from '../encodings/decoded.js';
import { ACPI_EVENT_NAMES, isAcpiEvent } from '../event-log/acpi-event.js';
import { checkEvent } from '../event-log/check-event.js';
import { RTMR_BYTES } from '../event-log/replay.js';
import type { Imr, TdxEvent } from '../event-log/tdx-event.js';
import { Refusal } from '../refusal.js';
import { EV_NO_ACTION, readTcgEventLog, TCG_ALGORITHMS, type TcgEvent } from './tcg-event-log.js';

/**
 * Parses a raw CCEL into the events dstack lists: register numbers made 0-based, events of register 0 (MRTD) and EV_NO_ACTION
 * left out, SHA-384 digests, the three ACPI events named (dstack-kms §11). Replaying them with `replayRtmr` gives the RTMRs
 * of the quote. Runtime events (RTMR 3) are not in a CCEL. Check `ccel.events`; codes `CCEL_FORMAT`, `EVENT_LOG_FORMAT`.
 */
export function parseCcel(bytes: Uint8Array): Decoded<readonly TdxEvent[]> {
  return decode(
    'ccel.events',
    () => tdxEvents(readTcgEventLog(bytes).events),
    (events) => `${events.length} events of RTMR 0 to 3`,
  );
}

function tdxEvents(events: readonly TcgEvent[]): readonly TdxEvent[] {
  let acpi = 0;
  return events.flatMap((entry, index): readonly TdxEvent[] => {
    if (entry.eventType === EV_NO_ACTION || entry.registerIndex === 0) return [];
    const event = tdxEvent(entry, `event ${index}`);
    return [isAcpiEvent(event) ? { ...event, event: ACPI_EVENT_NAMES[acpi++] ?? '' } : event];
  });
}

function tdxEvent(entry: TcgEvent, path: string): TdxEvent {
  if (entry.registerIndex > 4) {
    throw new Refusal('CCEL_FORMAT', `${path} is of register ${entry.registerIndex}, not 1 to 4`);
  }
  const digest = entry.digests.get(TCG_ALGORITHMS.sha384);
  if (digest === undefined || digest.length !== RTMR_BYTES) {
    throw new Refusal('CCEL_FORMAT', `${path} has no SHA-384 digest`);
  }
  const imr = (entry.registerIndex - 1) as Imr;
  const event: TdxEvent = {
    imr,
    eventType: entry.eventType,
    digest,
    event: '',
    payload: entry.data,
    version: 1,
    preimage: null,
  };
  return checkEvent(event, path);
}
