import {
  appraise,
  bindEventLog,
  CollateralClient,
  identityFromEventLog,
  type ParsedQuote,
  parseQuote,
  processMeasurements,
  processVmConfigText,
  type QuoteCollateralV3,
  runtimeEventDigest,
  type TrustAnchor,
  trustAnchorFromPem,
  verifyParsedQuote,
} from '@vouch/attestation';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { askSocket, SimulatorProcess } from './testing/simulator-process.js';

const RUNTIME_EVENT = 0x08000001;
const machine = { osImageHash: 'cd'.repeat(32), vcpu: 2, memoryMiB: 2048 };
const instanceId = 'ab'.repeat(20);
const appId = 'a1'.repeat(20);
const reportData = 'ee'.repeat(64);
/** What a guest measures into RTMR3, in order. */
const runtime: readonly (readonly [string, string])[] = [
  ['system-preparing', ''],
  ['app-id', appId],
  ['compose-hash', 'cc'.repeat(32)],
  ['instance-id', instanceId],
  ['boot-mr-done', ''],
];

let simulator: SimulatorProcess;
let other: SimulatorProcess;
let anchor: TrustAnchor;
let foreignAnchor: TrustAnchor;
let quote: Uint8Array;
let parsed: ParsedQuote;
let collateral: QuoteCollateralV3;
let eventLog: string;

beforeAll(async () => {
  [simulator, other] = await Promise.all([SimulatorProcess.start(), SimulatorProcess.start()]);
  anchor = trustAnchorFromPem(await simulator.rootCaPem());
  foreignAnchor = trustAnchorFromPem(await other.rootCaPem());
  const socketPath = `${simulator.dataDir}/tsm.sock`;
  const vmConfig = processVmConfigText(machine);
  await simulator.admin('PUT', `/tds/${instanceId}`, { socketPath, vmConfig, mrConfigId: '00'.repeat(48) });
  const { body: bootLog } = await askSocket(socketPath, 'GET', '/boot-log');
  const events = [];
  for (const [event, payload] of runtime) {
    const digest = Buffer.from(runtimeEventDigest(event, Buffer.from(payload, 'hex'))).toString('hex');
    await askSocket(socketPath, 'POST', '/extend', { rtmr: 3, digest });
    events.push({ imr: 3, event_type: RUNTIME_EVENT, digest, event, event_payload: payload });
  }
  eventLog = JSON.stringify([...(bootLog as unknown[]), ...events]);
  const { body } = await askSocket(socketPath, 'POST', '/quote', { reportData });
  quote = Buffer.from((body as { quote: string }).quote, 'base64');
  parsed = parse(quote);
  collateral = await clientOf(simulator, anchor).collateralFor(parsed);
});

afterAll(async () => {
  await simulator.dispose();
  await other.dispose();
});

function clientOf({ pccs }: SimulatorProcess, trustAnchor: TrustAnchor): CollateralClient {
  return new CollateralClient({ endpoints: [{ url: pccs }], trustAnchors: [trustAnchor], now: () => new Date() });
}

function parse(bytes: Uint8Array): ParsedQuote {
  const result = parseQuote(bytes);
  if (!result.ok) throw new Error(result.failed.detail);
  return result.quote;
}

describe('a simulated quote under the verifier of this project', () => {
  it('passes every check with the simulator root as the anchor', () => {
    const result = verifyParsedQuote(parsed, collateral, { now: new Date(), trustAnchors: [anchor] });
    if (!result.ok) throw new Error(`${result.failed.name}: ${result.failed.detail}`);
    expect(result.checks.filter(({ outcome }) => outcome !== 'pass')).toEqual([]);
    expect(result.quote.tcb).toMatchObject({ status: 'UpToDate', moduleStatus: 'UpToDate', qeStatus: 'UpToDate' });
    expect(result.quote).toMatchObject({ debug: false, pckCa: 'platform' });
  });

  it('is refused with Intel as the only anchor, and with the root of another simulator', () => {
    const now = new Date();
    expect(verifyParsedQuote(parsed, collateral, { now })).toMatchObject({ ok: false, code: 'UNTRUSTED_ROOT' });
    const foreign = verifyParsedQuote(parsed, collateral, { now, trustAnchors: [foreignAnchor] });
    expect(foreign).toMatchObject({ ok: false, code: 'UNTRUSTED_ROOT' });
  });

  it('is refused with collateral of another simulator', async () => {
    const foreign = await clientOf(other, foreignAnchor).collateralFor(parsed);
    const anchors = { now: new Date(), trustAnchors: [anchor] };
    expect(verifyParsedQuote(parsed, foreign, anchors)).toMatchObject({ ok: false, code: 'UNTRUSTED_ROOT' });
    // Both roots trusted: the CRL of another CA of the same name is still not this platform's.
    const both = { now: new Date(), trustAnchors: [anchor, foreignAnchor] };
    expect(verifyParsedQuote(parsed, foreign, both)).toMatchObject({ ok: false });
  });

  it('is refused once its collateral has expired, and before it was issued', () => {
    const at = (days: number) => new Date(Date.now() + days * 86_400_000);
    for (const now of [at(31), at(-1)]) {
      expect(verifyParsedQuote(parsed, collateral, { now, trustAnchors: [anchor] }).ok).toBe(false);
    }
  });

  it('is refused when one bit of it is flipped, anywhere', () => {
    const options = { now: new Date(), trustAnchors: [anchor] };
    for (let offset = 0; offset < quote.length; offset += 1) {
      const forged = Buffer.from(quote);
      forged[offset] = (forged[offset] ?? 0) ^ 1;
      const result = parseQuote(forged);
      const accepted = result.ok && verifyParsedQuote(result.quote, collateral, options).ok;
      expect([offset, accepted]).toEqual([offset, false]);
    }
  });

  it('binds the event log of the guest, and names its identity', () => {
    const verified = verifyParsedQuote(parsed, collateral, { now: new Date(), trustAnchors: [anchor] });
    if (!verified.ok) throw new Error(verified.failed.detail);
    const { mrTd, rtMr0, rtMr1, rtMr2 } = processMeasurements(machine);
    const references = { mrTd: [mrTd], rtMr0: [rtMr0], rtMr1: [rtMr1], rtMr2: [rtMr2] };
    const policy = { references, reportData: Buffer.from(reportData, 'hex') };
    expect(appraise(verified.quote, policy)).toMatchObject({ ok: false });
    const appraised = appraise(verified.quote, { ...policy, unsafeTrustAnchorAccepted: true });
    if (!appraised.ok) throw new Error(appraised.failed.detail);
    const bound = bindEventLog(appraised.evidence, eventLog);
    if (!bound.ok) throw new Error(bound.failed.detail);
    expect(identityFromEventLog(bound.log)).toMatchObject({ ok: true });
    const edited = eventLog.replace(
      `"event":"app-id","event_payload":"${appId}"`,
      `"event":"app-id","event_payload":"${'f0'.repeat(20)}"`,
    );
    expect(edited).not.toBe(eventLog);
    expect(bindEventLog(appraised.evidence, edited)).toMatchObject({ ok: false, code: 'EVENT_LOG_MISMATCH' });
  });
});
