import type { AppraisedEvidence } from '../appraise/appraised-evidence.js';
import type { Check } from '../check.js';
import { bindAttestation } from '../encodings/bind-attestation.js';
import type { VersionedAttestation } from '../encodings/versioned-attestation.js';
import { bindEventLog } from '../event-log/bind-event-log.js';
import { parseEventLog } from '../event-log/parse-event-log.js';
import { isRuntimeEvent } from '../event-log/replay.js';
import type { BindEventLogResult, TdxEvent } from '../event-log/tdx-event.js';
import type { AttestationEvidence } from './attestation-evidence.js';

const LOG_CHECKS = ['event-log.format', 'event-log.rtmr0', 'event-log.rtmr1', 'event-log.rtmr2', 'event-log.rtmr3'];
const ATTESTATION_ONLY = [
  'attestation.quote',
  'attestation.report-data',
  'attestation.payload',
  'attestation.events-agree',
];

/** What binding came to; `log` is null when the evidence carries no event log. Every check of the stage is listed. */
export type BindLogResult =
  | Exclude<BindEventLogResult, { readonly ok: true }>
  | { readonly ok: true; readonly log: null; readonly checks: readonly Check[] }
  | Extract<BindEventLogResult, { readonly ok: true }>;

/** Binds the event log of evidence to its appraised quote, in whichever form the evidence carries it. */
export function bindLog(appraised: AppraisedEvidence, evidence: AttestationEvidence): BindLogResult {
  const { attestation, eventLog } = evidence;
  if (attestation !== null) {
    const bound = bindAttestation(appraised, attestation);
    const format = skipped(['event-log.format'], 'the log is part of the attestation');
    return { ...bound, checks: [...bound.checks, ...format] };
  }
  const alone = skipped(ATTESTATION_ONLY, 'the evidence is no VersionedAttestation');
  if (eventLog === null) {
    const none = skipped([...LOG_CHECKS, 'event-log.identity'], 'the evidence has no event log');
    return { ok: true, log: null, checks: [...alone, ...none] };
  }
  const parsed = parseEventLog(eventLog);
  if (!parsed.ok) return { ...parsed, checks: [...alone, ...parsed.checks] };
  const bound = isStripped(parsed.events)
    ? bindStripped(appraised, evidence, parsed.events)
    : bindEventLog(appraised, eventLog);
  return { ...bound, checks: [...alone, ...bound.checks] };
}

/** Every event as the evidence lists it, bound by nothing yet; none when it has no readable log. */
export function rawEvents({ attestation, eventLog }: AttestationEvidence): readonly TdxEvent[] {
  if (attestation !== null && 'eventLog' in attestation.platform) return attestation.platform.eventLog;
  const parsed = eventLog === null ? null : parseEventLog(eventLog);
  return parsed?.ok === true ? parsed.events : [];
}

/** Certificates carry logs without boot events: only RTMR 3 can be replayed then, and the rest says so. */
function bindStripped(
  appraised: AppraisedEvidence,
  { quote, vmConfig }: AttestationEvidence,
  events: readonly TdxEvent[],
): BindEventLogResult {
  const attestation: VersionedAttestation = {
    version: 1,
    platform: { kind: 'tdx', quote, eventLog: events },
    stack: {
      reportData: appraised.verified.quote.report.reportData,
      runtimeEvents: events.filter(isRuntimeEvent),
      config: vmConfig ?? '',
      reportDataPayload: null,
    },
  };
  const bound = bindAttestation(appraised, attestation);
  const format: Check = { name: 'event-log.format', outcome: 'pass', detail: `${events.length} events, stripped` };
  const checks = [format, ...bound.checks.filter(({ name }) => name.startsWith('event-log.'))];
  return { ...bound, checks };
}

/** No event of IMR 1 or 2: every boot measures its kernel into both. */
function isStripped(events: readonly TdxEvent[]): boolean {
  return !events.some(({ imr }) => imr === 1 || imr === 2);
}

function skipped(names: readonly string[], detail: string): readonly Check[] {
  return names.map((name) => ({ name, outcome: 'skipped', detail }));
}
