import type { AppraisedEvidence } from '../appraise/appraised-evidence.js';
import { equalBytes, toHex } from '../bytes.js';
import type { Check, Refused } from '../check.js';
import { CheckSheet } from '../check-sheet.js';
import { expectRegister } from '../event-log/bind-event-log.js';
import { isRuntimeEvent, replayRtmr } from '../event-log/replay.js';
import type { BoundEventLog, Imr, TdxEvent } from '../event-log/tdx-event.js';
import { Refusal } from '../refusal.js';
import { appReportData } from '../report-data/report-data.js';
import type { PlatformEvidence, StackEvidence, VersionedAttestation } from './versioned-attestation.js';

/** Names of the checks `bindAttestation` reports, in order. */
export const ATTESTATION_CHECKS = [
  'attestation.quote',
  'attestation.report-data',
  'attestation.payload',
  'attestation.events-agree',
  'event-log.rtmr0',
  'event-log.rtmr1',
  'event-log.rtmr2',
  'event-log.rtmr3',
] as const;

/** Evidence whose event log is bound by an appraised quote. */
export interface BoundAttestation {
  /** Only events of the registers below: what a stripped log says of boot is in the attestation, bound by nothing. */
  readonly log: BoundEventLog;
  /** Registers the log replays to; 0 to 2 are missing from certificates, whose logs are stripped. */
  readonly registers: readonly Imr[];
}

export type BindAttestationResult =
  | ({ readonly ok: true; readonly checks: readonly Check[] } & BoundAttestation)
  | Refused;

/**
 * Binds the TDX attestation that carried an appraised quote to it: the very same quote, its report data, both lists of
 * runtime events equal (dstack checks each list by another rule, so two different ones could pass there), and the log's
 * replay. RTMR 0-2 of a stripped log are reported as skipped; RTMR 3 never is. Codes `ATTESTATION_MISMATCH`,
 * `ATTESTATION_UNSUPPORTED`, `EVENT_LOG_MISMATCH`.
 */
export function bindAttestation(evidence: AppraisedEvidence, attestation: VersionedAttestation): BindAttestationResult {
  const { quote } = evidence.verified;
  const sheet = new CheckSheet(ATTESTATION_CHECKS);
  const result = sheet.settle((): BoundAttestation => {
    const { report, platform } = sheet.step(
      'attestation.quote',
      () => expectQuote(quote.bytes, quote.report, attestation.platform),
      () => 'the attestation carries the appraised quote',
    );
    sheet.step(
      'attestation.report-data',
      () => expectReportData(report.reportData, attestation.stack),
      () => 'equals the report data of the quote',
    );
    checkPayload(sheet, report.reportData, attestation.stack);
    const events = platform.eventLog;
    sheet.step(
      'attestation.events-agree',
      () => expectSameEvents(events, attestation.stack),
      (count) => `${count} runtime events in both lists`,
    );
    const registers = [report.rtMr0, report.rtMr1, report.rtMr2, report.rtMr3] as const;
    const stripped = isStripped(events);
    for (const imr of [0, 1, 2, 3] as const) {
      const name = `event-log.rtmr${imr}` as const;
      if (imr < 3 && stripped) {
        sheet.skip(name, 'the log is stripped: boot events are not in it');
        continue;
      }
      const replayed = replayRtmr(events, imr);
      sheet.step(
        name,
        () => expectRegister(imr, replayed, registers[imr]),
        () => `replays to ${toHex(replayed)}`,
      );
    }
    const registersBound = stripped ? ([3] as const) : ([0, 1, 2, 3] as const);
    const bound = stripped ? events.filter(({ imr }) => imr === 3) : events;
    // The brand exists only in the type system; it is given where the registers of these events have been compared.
    return { log: { events: bound } as unknown as BoundEventLog, registers: registersBound };
  });
  return result.ok ? { ok: true, ...result.value, checks: result.checks } : result;
}

type TdxPlatform = Extract<PlatformEvidence, { readonly eventLog: readonly TdxEvent[] }>;
type QuoteReport = AppraisedEvidence['verified']['quote']['report'];

function expectQuote(
  quote: Uint8Array,
  report: QuoteReport,
  platform: PlatformEvidence,
): { readonly report: Exclude<QuoteReport, { readonly kind: 'sgx' }>; readonly platform: TdxPlatform } {
  if (platform.kind !== 'tdx' && platform.kind !== 'gcp-tdx') {
    throw new Refusal('ATTESTATION_UNSUPPORTED', `${platform.kind} evidence is not bound by a TDX quote`);
  }
  if (report.kind === 'sgx') throw new Refusal('ATTESTATION_UNSUPPORTED', 'an SGX quote has no RTMRs to replay to');
  // Bytes behind the declared end of a quote are padding.
  if (!equalBytes(platform.quote.subarray(0, quote.length), quote)) {
    throw new Refusal('ATTESTATION_MISMATCH', 'the attestation carries another quote than the appraised one');
  }
  return { report, platform };
}

function expectReportData(quoted: Uint8Array, stack: StackEvidence): void {
  if (equalBytes(quoted, stack.reportData)) return;
  throw new Refusal(
    'ATTESTATION_MISMATCH',
    `the attestation says report data ${toHex(stack.reportData)}, the quote has ${toHex(quoted)}`,
  );
}

function checkPayload(
  sheet: CheckSheet<(typeof ATTESTATION_CHECKS)[number]>,
  quoted: Uint8Array,
  { reportDataPayload }: StackEvidence,
): void {
  if (reportDataPayload === null) {
    sheet.skip('attestation.payload', 'the attestation carries no report data payload');
    return;
  }
  sheet.step(
    'attestation.payload',
    () => {
      if (equalBytes(appReportData(Buffer.from(reportDataPayload, 'utf8')), quoted)) return;
      throw new Refusal('ATTESTATION_MISMATCH', 'the report data does not bind the payload');
    },
    () => 'the report data binds the payload as app-data (SHA-512)',
  );
}

function expectSameEvents(events: readonly TdxEvent[], { runtimeEvents }: StackEvidence): number {
  const logged = events.filter(isRuntimeEvent);
  const same =
    logged.length === runtimeEvents.length &&
    logged.every((event, index) => {
      const other = runtimeEvents[index];
      return (
        other !== undefined &&
        other.event === event.event &&
        other.version === event.version &&
        equalBytes(other.payload, event.payload)
      );
    });
  if (same) return logged.length;
  throw new Refusal('ATTESTATION_MISMATCH', 'runtime_events are not the runtime events of the event log');
}

/** No event of IMR 1 or 2: every boot measures its kernel into both. */
function isStripped(events: readonly TdxEvent[]): boolean {
  return !events.some(({ imr }) => imr === 1 || imr === 2);
}
