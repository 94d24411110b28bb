import type { AppraisedEvidence } from '../appraise/appraised-evidence.js';
import { equalBytes, toHex } from '../bytes.js';
import { CheckSheet } from '../check-sheet.js';
import { Refusal } from '../refusal.js';
import { readEventLog } from './parse-event-log.js';
import { replayRtmr } from './replay.js';
import type { BindEventLogResult, BoundEventLog, Imr } from './tdx-event.js';

/** Names of the checks `bindEventLog` reports, in order. */
export const EVENT_LOG_CHECKS = [
  'event-log.format',
  'event-log.rtmr0',
  'event-log.rtmr1',
  'event-log.rtmr2',
  'event-log.rtmr3',
] as const;

/**
 * Replays the log to all four registers of the quote. Codes: `EVENT_LOG_FORMAT`, `EVENT_LOG_MISMATCH`,
 * `EVENT_LOG_UNSUPPORTED` (not a TDX quote). After it, digests of boot events and everything about runtime events are as
 * trustworthy as the quote; payload texts of boot events stay unauthenticated.
 */
export function bindEventLog(evidence: AppraisedEvidence, json: string): BindEventLogResult {
  const report = evidence.verified.quote.report;
  const sheet = new CheckSheet(EVENT_LOG_CHECKS);
  const result = sheet.settle((): BoundEventLog => {
    const events = sheet.step(
      'event-log.format',
      () => {
        if (report.kind === 'sgx') throw new Refusal('EVENT_LOG_UNSUPPORTED', 'an SGX quote has no RTMRs to replay to');
        return readEventLog(json);
      },
      (list) => `${list.length} events`,
    );
    if (report.kind === 'sgx') throw new Error('unreachable: the format step refuses SGX');
    const registers = [report.rtMr0, report.rtMr1, report.rtMr2, report.rtMr3] as const;
    for (const imr of [0, 1, 2, 3] as const satisfies readonly Imr[]) {
      const replayed = replayRtmr(events, imr);
      sheet.step(
        `event-log.rtmr${imr}`,
        () => expectRegister(imr, replayed, registers[imr]),
        () => `${events.filter((event) => event.imr === imr).length} events replay to ${toHex(replayed)}`,
      );
    }
    return { events } as unknown as BoundEventLog;
  });
  return result.ok ? { ok: true, log: result.value, checks: result.checks } : result;
}

/** @throws Refusal `EVENT_LOG_MISMATCH` */
export function expectRegister(imr: Imr, replayed: Uint8Array, quoted: Uint8Array): void {
  if (equalBytes(replayed, quoted)) return;
  throw new Refusal(
    'EVENT_LOG_MISMATCH',
    `the log replays RTMR${imr} to ${toHex(replayed)}, the quote has ${toHex(quoted)}`,
  );
}
