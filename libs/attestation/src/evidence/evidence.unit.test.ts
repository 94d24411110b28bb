import { describe, expect, it } from 'vitest';
import { toHex } from '../bytes.js';
import type { Check } from '../check.js';
import { CollateralBundle } from '../collateral/collateral-bundle.js';
import type { QuoteCollateralV3 } from '../collateral/quote-collateral.js';
import { writeAttestation } from '../encodings/write-attestation.js';
import { parseEventLog } from '../event-log/parse-event-log.js';
import { isRuntimeEvent } from '../event-log/replay.js';
import { ratlsReportData } from '../report-data/report-data.js';
import { newRatlsKey, ratlsCertificate } from '../testing/ratls-certificate.js';
import { TEST_GUEST, TestGuest } from '../testing/test-guest.js';
import { toPem } from '../testing/test-pki.js';
import { TEST_NOW, type TestQuote } from '../testing/test-platform.js';
import type { EvidencePolicy } from './evidence-policy.js';
import type { Examination } from './examination.js';
import { examineEvidence } from './examine-evidence.js';
import { InvalidPolicyError, policyText, readPolicy } from './policy-text.js';
import { readEvidence } from './read-evidence.js';

const guest = new TestGuest();
const DEV: EvidencePolicy = { unsafeTrustAnchorAccepted: true, unsafeProcessGuestAccepted: true };
const OIDS = { quote: '2b0601040183e73d0101', log: '2b0601040183e73d0102', attestation: '2b0601040183e73d0108' };

function document(shape: TestQuote = {}, changes: Readonly<Record<string, unknown>> = {}): Uint8Array {
  const quote = toHex(guest.quote(shape));
  return Buffer.from(JSON.stringify({ quote, event_log: guest.eventLog, vm_config: guest.vmConfig, ...changes }));
}

function attestation(reportData: Uint8Array = new Uint8Array(64).fill(0x42), stripped = false): Uint8Array {
  const parsed = parseEventLog(guest.eventLog);
  if (!parsed.ok) throw new Error(parsed.failed.detail);
  const eventLog = stripped ? parsed.events.filter(({ imr }) => imr === 3) : parsed.events;
  return writeAttestation({
    version: 0,
    platform: { kind: 'tdx', quote: guest.quote({ reportData }), eventLog },
    stack: {
      reportData,
      runtimeEvents: parsed.events.filter(isRuntimeEvent),
      config: guest.vmConfig,
      reportDataPayload: null,
    },
  });
}

async function examine(
  bytes: Uint8Array,
  policy: EvidencePolicy = DEV,
  collateral: QuoteCollateralV3 = guest.platform.collateral(),
): Promise<Examination> {
  const read = readEvidence(bytes);
  if (!read.ok) throw new Error(read.failed.detail);
  return examineEvidence(read.value, {
    collateral: CollateralBundle.fromText(JSON.stringify(collateral)),
    now: TEST_NOW,
    trustAnchors: [guest.platform.trustAnchor],
    policy,
  });
}

const check = ({ checks }: Examination, name: string): Check | undefined => checks.find((entry) => entry.name === name);

describe('readEvidence', () => {
  const quote = guest.quote();
  const asJson = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));

  it.each<[string, Uint8Array]>([
    ['raw', quote],
    ['hex', Buffer.from(`${toHex(quote)}\n`)],
    ['0x hex', Buffer.from(`0x${toHex(quote).toUpperCase()}`)],
    ['base64', Buffer.from(Buffer.from(quote).toString('base64'))],
    ['base64url', Buffer.from(Buffer.from(quote).toString('base64url'))],
    ['a verifier request', asJson({ quote: toHex(quote), attestation: null, debug: false })],
    ['our document', asJson({ quote: Buffer.from(quote).toString('base64') })],
    ['our event', asJson({ hostId: 'host-a', evidence: { quote: Buffer.from(quote).toString('base64') } })],
  ])('reads a quote as %s', (_form, bytes) => {
    const read = readEvidence(bytes);
    if (!read.ok) throw new Error(read.failed.detail);
    expect(toHex(read.value.quote)).toBe(toHex(quote));
    expect(read.value).toMatchObject({ eventLog: null, attestation: null, certificateKey: null });
  });

  it('reads event log and vm_config in both spellings, as text or as JSON', () => {
    const forms = [
      { quote: toHex(quote), event_log: guest.eventLog, vm_config: guest.vmConfig },
      { quote: toHex(quote), eventLog: guest.events, vmConfig: JSON.parse(guest.vmConfig) as unknown },
      { quote: toHex(quote), event_log: guest.eventLog, vm_config: JSON.stringify({ vm_config: guest.vmConfig }) },
    ];
    for (const form of forms) {
      const read = readEvidence(asJson(form));
      expect(read.ok && read.value).toMatchObject({ eventLog: guest.eventLog, vmConfig: guest.vmConfig });
    }
  });

  it('prefers an attestation to the rest of a request', () => {
    const read = readEvidence(asJson({ attestation: toHex(attestation()), quote: '00', event_log: 'nonsense' }));
    expect(read.ok && read.value).toMatchObject({ form: 'tdx attestation', eventLog: null });
  });

  it.each<[string, Uint8Array | string]>([
    ['nothing', ''],
    ['text', 'neither hex nor base64!'],
    ['JSON without evidence', '{"hello":1}'],
    ['a quote of the wrong type', '{"quote":5}'],
    ['cut JSON', '{"quote":"00"'],
    ['an attestation of no known version', new Uint8Array([0x90, 0x01])],
    ['a certificate without evidence', toPem(ratlsCertificate({}))],
    ['a certificate that is none', '-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----'],
  ])('refuses %s as a value', (_what, bytes) => {
    const read = readEvidence(typeof bytes === 'string' ? Buffer.from(bytes) : bytes);
    expect(read).toMatchObject({ ok: false, failed: { name: 'evidence.format', outcome: 'fail' } });
  });
});

describe('examineEvidence', () => {
  it('accepts genuine evidence, with every check once and its identity', async () => {
    const examination = await examine(document());
    expect(examination.failed).toBeNull();
    expect(examination).toMatchObject({ verdict: 'accepted', code: null });
    expect(examination.facts.identity).toMatchObject({ appId: TEST_GUEST.appId, composeHash: TEST_GUEST.composeHash });
    expect(examination.facts.osImage).toMatchObject({ outcome: 'pass', osImageHash: TEST_GUEST.osImageHash });
    expect(examination.facts.unsafe).toEqual(['unsafeProcessGuestAccepted', 'unsafeTrustAnchorAccepted']);
    const names = examination.checks.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(check(examination, 'event-log.rtmr3')?.outcome).toBe('pass');
    expect(check(examination, 'attestation.quote')?.outcome).toBe('skipped');
  });

  it('accepts a quote alone and says what it could not look at', async () => {
    const examination = await examine(guest.quote());
    expect(examination.verdict).toBe('accepted');
    for (const name of ['event-log.rtmr3', 'event-log.identity', 'os-image.measurement', 'ratls.key-binding']) {
      expect(check(examination, name)).toMatchObject({ outcome: 'skipped' });
    }
  });

  it.each([false, true])(
    'accepts an attestation (stripped: %s); a stripped log skips the boot registers only',
    async (stripped) => {
      const examination = await examine(attestation(undefined, stripped));
      expect(examination.failed).toBeNull();
      expect(check(examination, 'event-log.rtmr0')?.outcome).toBe(stripped ? 'skipped' : 'pass');
      expect(check(examination, 'event-log.rtmr3')?.outcome).toBe('pass');
      expect(examination.facts.identity?.instanceId).toBe(TEST_GUEST.instanceId);
    },
  );

  it('accepts a stripped JSON log, and refuses one with a changed runtime event', async () => {
    const runtime = guest.events.filter(({ imr }) => imr === 3);
    expect((await examine(document({}, { event_log: runtime }))).verdict).toBe('accepted');
    const changed = runtime.map((event) =>
      event.event === 'app-id' ? { ...event, event_payload: '99'.repeat(20) } : event,
    );
    expect(await examine(document({}, { event_log: changed }))).toMatchObject({
      verdict: 'refused',
      code: 'EVENT_LOG_MISMATCH',
      failed: { name: 'event-log.rtmr3' },
    });
  });

  it('accepts RA-TLS certificates of both forms, and refuses them under another key', async () => {
    const key = newRatlsKey();
    const reportData = ratlsReportData(key.spki);
    const older = { [OIDS.quote]: guest.quote({ reportData }), [OIDS.log]: Buffer.from(guest.eventLog) };
    const newer = { [OIDS.attestation]: attestation(reportData, true) };
    for (const extensions of [older, newer]) {
      const der = ratlsCertificate(extensions, key);
      for (const form of [der, Buffer.from(toPem(der))]) {
        const examination = await examine(form);
        expect(examination.failed).toBeNull();
        expect(check(examination, 'ratls.key-binding')?.outcome).toBe('pass');
      }
      expect(await examine(ratlsCertificate(extensions, newRatlsKey()))).toMatchObject({
        verdict: 'refused',
        code: 'RATLS_KEY_MISMATCH',
      });
    }
  });

  it.each<[string, Uint8Array, string, string]>([
    [
      'a changed quote',
      (() => {
        const q = guest.quote();
        q[600] = (q[600] ?? 0) ^ 1;
        return q;
      })(),
      'quote.signature',
      'refused',
    ],
    ['a cut quote', guest.quote().subarray(0, 1500), 'quote.format', 'refused'],
    [
      'a boot event changed',
      document({}, { event_log: guest.eventLog.replace(/"digest":"[0-9a-f]{2}/, '"digest":"00') }),
      'event-log.rtmr0',
      'refused',
    ],
    ['an event log that is none', document({}, { event_log: '{}' }), 'event-log.format', 'refused'],
    ['another machine than vm_config says', document({ mrTd: new Uint8Array(48) }), 'os-image.measurement', 'refused'],
    ['debug', document({ tdAttributes: '0100001000000000' }), 'policy.debug', 'denied'],
    ['SEPT_VE_DISABLE off', document({ tdAttributes: '0000000000000000' }), 'policy.sept-ve-disable', 'denied'],
  ])('%s is refused or denied by name', async (_what, bytes, name, verdict) => {
    const examination = await examine(bytes);
    expect(examination).toMatchObject({ verdict, failed: { name, outcome: 'fail' } });
    expect(examination.code).toMatch(/^[A-Z][A-Z_]+$/);
  });

  it('gathers facts about a guest the policy denies, and bad evidence outweighs denial', async () => {
    const denied = await examine(document({ tdAttributes: '0100001000000000' }));
    expect(denied.facts.identity?.appId).toBe(TEST_GUEST.appId);
    expect(check(denied, 'event-log.rtmr3')?.outcome).toBe('pass');
    expect(denied.code).toBe('POLICY_DEBUG');
    const both = document({ tdAttributes: '0100001000000000' }, { event_log: '[]' });
    expect(await examine(both)).toMatchObject({ verdict: 'refused', failed: { name: 'event-log.rtmr3' } });
  });

  it('denies by default: another root, a process guest, a status that is not UpToDate', async () => {
    expect(await examine(document(), {})).toMatchObject({ verdict: 'denied', failed: { name: 'policy.trust-anchor' } });
    expect(await examine(document(), { unsafeTrustAnchorAccepted: true })).toMatchObject({
      verdict: 'denied',
      failed: { name: 'policy.process-guest' },
    });
    const old = guest.platform.collateral({ levels: [{ status: 'OutOfDate', advisories: ['INTEL-SA-1'] }] });
    const outOfDate = await examine(document(), DEV, old);
    expect(outOfDate).toMatchObject({ verdict: 'denied', code: 'POLICY_TCB_STATUS' });
    expect((await examine(document(), { ...DEV, unsafeAcceptedStatuses: ['OutOfDate'] }, old)).verdict).toBe(
      'accepted',
    );
    const revoked = guest.platform.collateral({ levels: [{ status: 'Revoked' }] });
    expect(await examine(document(), DEV, revoked)).toMatchObject({
      verdict: 'refused',
      code: 'TCB_REVOKED',
      facts: { tcbStatus: 'Revoked' },
    });
  });

  it.each<[string, EvidencePolicy, EvidencePolicy]>([
    ['policy.app-id', { appIds: [TEST_GUEST.appId] }, { appIds: ['00'.repeat(20)] }],
    ['policy.compose-hash', { composeHashes: [TEST_GUEST.composeHash] }, { composeHashes: [] }],
    ['policy.instance-id', { instanceIds: [TEST_GUEST.instanceId] }, { instanceIds: [''] }],
    ['policy.os-image-hash', { osImageHashes: [TEST_GUEST.osImageHash] }, { osImageHashes: ['00'.repeat(32)] }],
    ['policy.key-provider', { keyProviderIds: ['3059'] }, { keyProviderIds: ['3058'] }],
  ])('%s holds or denies by its list', async (name, good, bad) => {
    const accepted = await examine(document(), { ...DEV, ...good });
    expect(check(accepted, name)?.outcome).toBe('pass');
    expect(accepted.verdict).toBe('accepted');
    expect(await examine(document(), { ...DEV, ...bad })).toMatchObject({ verdict: 'denied', failed: { name } });
    // What the evidence cannot prove does not satisfy a list.
    expect(await examine(guest.quote(), { ...DEV, ...good })).toMatchObject({ verdict: 'denied', failed: { name } });
  });
});

describe('readPolicy', () => {
  it('reads every field, and its text is the same for the same policy', () => {
    const text = JSON.stringify({
      unsafeAcceptedStatuses: ['OutOfDate'],
      tee: 'TDX',
      minTcbLevelDate: '2025-01-01T00:00:00Z',
      reportData: '42'.repeat(64),
      references: { mrTd: ['aa'.repeat(48)] },
      appIds: ['AB'.repeat(20)],
      instanceIds: [''],
      unsafeDebugAccepted: true,
    });
    const policy = readPolicy(text);
    expect(policy).toMatchObject({ appIds: ['ab'.repeat(20)], unsafeDebugAccepted: true, instanceIds: [''] });
    expect(readPolicy(policyText(policy))).toEqual(policy);
    expect(readPolicy('{}')).toEqual({});
  });

  it.each([
    '',
    '[]',
    'null',
    '{"unsafeDebugAccepted":false}',
    '{"unsafeEverything":true}',
    '{"appids":[]}',
    '{"appIds":["ab"]}',
    '{"references":{"mrtd":[]}}',
    '{"unsafeAcceptedStatuses":["Revoked"]}',
    '{"unsafeAcceptedStatuses":["Whatever"]}',
    '{"minTcbLevelDate":"yesterday"}',
    '{"__proto__":{"unsafeDebugAccepted":true}}',
  ])('refuses %s', (text) => {
    expect(() => readPolicy(text)).toThrow(InvalidPolicyError);
  });
});
