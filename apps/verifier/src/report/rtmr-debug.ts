import {
  type ExaminationFacts,
  isRuntimeEvent,
  parseEventLog,
  replayRtmr,
  runtimeEventDigest,
  type TdxEvent,
} from '@vouch/attestation';
import { hex } from './app-info.js';

interface RtmrMismatch {
  readonly rtmr: string;
  /** What the quote says, hex. */
  readonly expected: string;
  /** What the log replays to, hex. */
  readonly actual: string;
  readonly events: readonly {
    readonly index: number;
    readonly event_type: number;
    readonly event_name: string;
    /** As listed; runtime events: as computed from name and payload. */
    readonly actual_digest: string;
    /** Set when the log lists another digest for a runtime event. */
    readonly expected_digest: string | null;
    readonly payload_len: number;
    readonly status: 'match' | 'mismatch';
  }[];
  readonly missing_expected_digests: readonly string[];
}

/** Registers that the log does not replay to, with every event of them: asked for with `debug`. */
export function rtmrDebug({ evidence, quote }: ExaminationFacts): readonly RtmrMismatch[] {
  const report = quote?.report;
  if (report === undefined || report.kind === 'sgx') return [];
  const events = eventsOf(evidence);
  const registers = [report.rtMr0, report.rtMr1, report.rtMr2, report.rtMr3];
  return ([0, 1, 2, 3] as const).flatMap((imr): RtmrMismatch[] => {
    const [expected, actual] = [hex(registers[imr] ?? new Uint8Array()), hex(replayRtmr(events, imr))];
    if (expected === actual) return [];
    const list = events.filter((event) => event.imr === imr).map(describe);
    return [{ rtmr: `rtmr${imr}`, expected, actual, events: list, missing_expected_digests: [] }];
  });
}

function eventsOf({ attestation, eventLog }: ExaminationFacts['evidence']): readonly TdxEvent[] {
  if (attestation !== null && 'eventLog' in attestation.platform) return attestation.platform.eventLog;
  const parsed = eventLog === null ? null : parseEventLog(eventLog);
  return parsed?.ok === true ? parsed.events : [];
}

function describe(event: TdxEvent, index: number): RtmrMismatch['events'][number] {
  const listed = hex(event.digest);
  const digest = isRuntimeEvent(event) ? hex(runtimeEventDigest(event.event, event.payload, event.version)) : listed;
  const differs = listed !== '' && listed !== digest;
  return {
    index,
    event_type: event.eventType,
    event_name: event.event,
    actual_digest: digest,
    expected_digest: differs ? listed : null,
    payload_len: event.payload.length,
    status: differs ? 'mismatch' : 'match',
  };
}
