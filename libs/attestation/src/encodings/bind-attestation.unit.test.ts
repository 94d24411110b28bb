import { describe, expect, it } from 'vitest';
import { parseQuote } from '../abi/index.js';
import { type AppraisedEvidence, appraise } from '../appraise/index.js';
import { concatBytes } from '../bytes.js';
import { identityFromEventLog } from '../event-log/identity.js';
import { isRuntimeEvent, replayRtmr } from '../event-log/replay.js';
import type { TdxEvent } from '../event-log/tdx-event.js';
import { appReportData } from '../report-data/report-data.js';
import { hex, latin1, SAMPLE_PLATFORMS, sampleBootEvent, sampleRuntimeEvent } from '../testing/sample-attestation.js';
import { TEST_NOW, TestPlatform } from '../testing/test-platform.js';
import { verifyParsedQuote } from '../verify/index.js';
import { ATTESTATION_CHECKS, bindAttestation } from './bind-attestation.js';
import type { PlatformEvidence, StackEvidence, VersionedAttestation } from './versioned-attestation.js';
import { stripForCertificate } from './write-attestation.js';

const log: readonly TdxEvent[] = [
  sampleBootEvent(0, 1),
  sampleBootEvent(0, 2, latin1('ACPI DATA')),
  sampleBootEvent(1, 3),
  sampleBootEvent(2, 4),
  sampleRuntimeEvent('app-id', hex('11'.repeat(20))),
  sampleRuntimeEvent('compose-hash', hex('22'.repeat(32))),
  sampleRuntimeEvent('instance-id', hex('44'.repeat(20))),
  sampleRuntimeEvent('system-ready', hex('')),
];
const payload = '{"nonce":"1"}';
const reportData = appReportData(Buffer.from(payload));
const simulated = new TestPlatform();
const quoteBytes = simulated.quote({
  rtMrs: ([0, 1, 2, 3] as const).map((imr) => replayRtmr(log, imr)),
  reportData,
  padding: 0,
});

function evidenceOf(bytes: Uint8Array): AppraisedEvidence {
  const parsed = parseQuote(bytes);
  if (!parsed.ok) throw new Error(parsed.failed.detail);
  const trustAnchors = [simulated.trustAnchor];
  const verified = verifyParsedQuote(parsed.quote, simulated.collateral(), { now: TEST_NOW, trustAnchors });
  if (!verified.ok) throw new Error(verified.failed.detail);
  const result = appraise(verified.quote, { unsafeTrustAnchorAccepted: true });
  if (!result.ok) throw new Error(result.failed.detail);
  return result.evidence;
}

const evidence = evidenceOf(quoteBytes);
const runtimeEvents = log.filter(isRuntimeEvent);

function attestation(
  changes: { readonly quote?: Uint8Array; readonly eventLog?: readonly TdxEvent[] } = {},
  stack: Partial<StackEvidence> = {},
): VersionedAttestation {
  return {
    version: 0,
    platform: { kind: 'tdx', quote: quoteBytes, eventLog: log, ...changes },
    stack: { reportData, runtimeEvents, config: '', reportDataPayload: null, ...stack },
  };
}

describe('bindAttestation', () => {
  it('accepts what the quote measured: all registers, and the identity in them', () => {
    const result = bindAttestation(evidence, attestation());
    if (!result.ok) throw new Error(result.failed.detail);
    expect(result.registers).toEqual([0, 1, 2, 3]);
    expect(result.checks.map(({ name, outcome }) => [name, outcome])).toEqual(
      ATTESTATION_CHECKS.map((name) => [name, name === 'attestation.payload' ? 'skipped' : 'pass']),
    );
    expect(identityFromEventLog(result.log)).toMatchObject({ ok: true, identity: { appId: '11'.repeat(20) } });
  });

  it('of a certificate: RTMR 3 only, and no unbound event is handed on', () => {
    const result = bindAttestation(evidence, stripForCertificate(attestation()));
    if (!result.ok) throw new Error(result.failed.detail);
    expect(result.registers).toEqual([3]);
    expect(result.log.events.every(({ imr }) => imr === 3)).toBe(true);
    expect(result.checks.filter(({ outcome }) => outcome === 'skipped').map(({ name }) => name)).toEqual([
      'attestation.payload',
      'event-log.rtmr0',
      'event-log.rtmr1',
      'event-log.rtmr2',
    ]);
  });

  it('padding behind the quote is ignored, a pod payload that is bound is accepted', () => {
    expect(bindAttestation(evidence, attestation({ quote: concatBytes(quoteBytes, new Uint8Array(70)) })).ok).toBe(
      true,
    );
    expect(bindAttestation(evidence, attestation({}, { reportDataPayload: payload })).ok).toBe(true);
  });

  const forged = sampleRuntimeEvent('app-id', hex('99'.repeat(20)));
  it.each<[string, string, string, VersionedAttestation]>([
    ['another quote', 'attestation.quote', 'ATTESTATION_MISMATCH', attestation({ quote: quoteBytes.with(100, 1) })],
    ['a cut quote', 'attestation.quote', 'ATTESTATION_MISMATCH', attestation({ quote: quoteBytes.subarray(0, -1) })],
    [
      'other report data',
      'attestation.report-data',
      'ATTESTATION_MISMATCH',
      attestation({}, { reportData: reportData.with(0, 1) }),
    ],
    [
      'another payload',
      'attestation.payload',
      'ATTESTATION_MISMATCH',
      attestation({}, { reportDataPayload: `${payload} ` }),
    ],
    [
      'runtime events of another guest',
      'attestation.events-agree',
      'ATTESTATION_MISMATCH',
      attestation({}, { runtimeEvents: [forged, ...runtimeEvents.slice(1)] }),
    ],
    [
      'a missing runtime event',
      'attestation.events-agree',
      'ATTESTATION_MISMATCH',
      attestation({}, { runtimeEvents: runtimeEvents.slice(1) }),
    ],
    [
      'both lists forged alike',
      'event-log.rtmr3',
      'EVENT_LOG_MISMATCH',
      attestation(
        { eventLog: [...log.slice(0, 4), forged, ...log.slice(5)] },
        { runtimeEvents: [forged, ...runtimeEvents.slice(1)] },
      ),
    ],
    ['a dropped kernel event', 'event-log.rtmr1', 'EVENT_LOG_MISMATCH', attestation({ eventLog: log.toSpliced(2, 1) })],
    [
      'a boot event of another digest',
      'event-log.rtmr0',
      'EVENT_LOG_MISMATCH',
      attestation({ eventLog: log.with(0, sampleBootEvent(0, 9)) }),
    ],
  ])('refuses %s at %s', (_what, name, code, input) => {
    expect(bindAttestation(evidence, input)).toMatchObject({ ok: false, code, failed: { name, outcome: 'fail' } });
  });

  it('refuses evidence of other platforms', () => {
    const other = SAMPLE_PLATFORMS.filter(({ kind }) => !kind.endsWith('tdx'));
    for (const platform of other as readonly PlatformEvidence[]) {
      expect(bindAttestation(evidence, { ...attestation(), platform })).toMatchObject({
        code: 'ATTESTATION_UNSUPPORTED',
      });
    }
  });
});
