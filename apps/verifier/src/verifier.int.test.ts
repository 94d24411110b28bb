import { connect } from 'node:net';
import {
  INTEL_SGX_ROOT,
  isRuntimeEvent,
  parseEventLog,
  trustAnchorFromPem,
  writeAttestation,
} from '@vouch/attestation';
import { SIMULATED_GUEST, type SimulatedEvidence, SimulatedPlatform } from '@vouch/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { VerifyResponse } from './report/verify-response.js';
import type { Settings } from './settings.js';
import { type RunningVerifier, startVerifier } from './verifier.js';

const SILENT = { info: () => undefined, error: () => undefined };
const MAX_BODY_BYTES = 256 * 1024;

let platform: SimulatedPlatform;
let evidence: SimulatedEvidence;
let settings: Settings;
let verifier: RunningVerifier;
const running: RunningVerifier[] = [];

beforeAll(async () => {
  platform = await SimulatedPlatform.start();
  evidence = await platform.evidence(new Uint8Array(64).fill(7));
  settings = {
    host: '127.0.0.1',
    port: 0,
    endpoints: [{ url: platform.pccs }],
    bundle: undefined,
    cacheFolder: undefined,
    imageUrl: null,
    policy: { unsafeTrustAnchorAccepted: true, unsafeProcessGuestAccepted: true },
    trustAnchors: [INTEL_SGX_ROOT, trustAnchorFromPem(await platform.rootPem())],
    maxBodyBytes: MAX_BODY_BYTES,
  };
  verifier = await start({});
});

afterAll(async () => {
  await Promise.all(running.map((service) => service.close()));
  await platform?.stop();
});

async function start(changes: Partial<Settings>, now: () => Date = () => new Date()): Promise<RunningVerifier> {
  const service = await startVerifier({ ...settings, ...changes }, SILENT, now);
  running.push(service);
  return service;
}

function request(changes: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  const quote = Buffer.from(evidence.quote).toString('hex');
  return { quote, event_log: evidence.eventLog, vm_config: evidence.vmConfig, ...changes };
}

/** As the guest that made `evidence` would encode it, whatever quote it carries. */
function attestation(quote: Uint8Array): string {
  const parsed = parseEventLog(evidence.eventLog);
  if (!parsed.ok) throw new Error(parsed.failed.detail);
  const stack = {
    reportData: new Uint8Array(64).fill(7),
    runtimeEvents: parsed.events.filter(isRuntimeEvent),
    config: evidence.vmConfig,
    reportDataPayload: null,
  };
  const platformPart = { kind: 'tdx', quote, eventLog: parsed.events } as const;
  return Buffer.from(writeAttestation({ version: 0, platform: platformPart, stack })).toString('hex');
}

async function post(body: string, service = verifier): Promise<{ status: number; body: VerifyResponse }> {
  const response = await fetch(`http://127.0.0.1:${service.port}/verify`, { method: 'POST', body });
  return { status: response.status, body: (await response.json()) as VerifyResponse };
}

const ask = (changes: Readonly<Record<string, unknown>> = {}, service = verifier) =>
  post(JSON.stringify(request(changes)), service);

function changed(quote: Uint8Array, at: number): string {
  const copy = Buffer.from(quote);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy.toString('hex');
}

describe('POST /verify', () => {
  it('answers genuine evidence as dstack-verifier does, with every check', async () => {
    const { status, body } = await ask();
    expect(status).toBe(200);
    expect(body).toMatchObject({ is_valid: true, reason: null, code: null });
    expect(body.details).toMatchObject({
      quote_verified: true,
      event_log_verified: true,
      os_image_hash_verified: true,
      acpi_tables_verified: false,
      tee_variant: 'dstack-tdx',
      report_data: '07'.repeat(64),
      tcb_status: 'UpToDate',
      advisory_ids: [],
      key_provider: { name: 'kms', id: SIMULATED_GUEST.keyProviderId },
      app_info: {
        app_id: SIMULATED_GUEST.appId,
        compose_hash: SIMULATED_GUEST.composeHash,
        instance_id: SIMULATED_GUEST.instanceId,
        os_image_hash: SIMULATED_GUEST.osImageHash,
      },
      boot_info: { teeVariant: 'dstack-tdx', appId: SIMULATED_GUEST.appId, tcbStatus: 'UpToDate' },
      rtmr_debug: null,
    });
    expect(body.checks.find(({ name }) => name === 'quote.signature')?.outcome).toBe('pass');
    expect(body.checks.filter(({ outcome }) => outcome === 'fail')).toEqual([]);
    expect(body.checks.filter(({ outcome, detail }) => outcome === 'skipped' && detail === '')).toEqual([]);
  });

  it.each<[string, () => Record<string, unknown>, string]>([
    ['a changed quote', () => ({ quote: changed(evidence.quote, 600) }), 'quote.signature'],
    ['a cut quote', () => ({ quote: Buffer.from(evidence.quote).toString('hex').slice(0, 3000) }), 'quote.format'],
    ['a changed event', () => ({ event_log: evidence.eventLog.replaceAll('1111', '1112') }), 'event-log.rtmr3'],
    ['no event log', () => ({ event_log: null }), 'event-log.identity'],
    ['no vm_config', () => ({ vm_config: '' }), 'os-image.measurement'],
    [
      'another machine',
      () => ({ vm_config: evidence.vmConfig.replace('"cpu_count":1', '"cpu_count":2') }),
      'os-image.measurement',
    ],
  ])('%s is not valid, by name, with status 200', async (_what, changes, name) => {
    const { status, body } = await ask(changes());
    expect(status).toBe(200);
    expect(body).toMatchObject({ is_valid: false, retryable: false });
    expect(body.reason).toMatch(new RegExp(`^${name.replaceAll('.', '\\.')}: `));
    expect(body.code).toMatch(/^[A-Z_]+$/);
  });

  it('takes an attestation instead, ignores the rest of the request then, and refuses one that was put together', async () => {
    const good = attestation(evidence.quote);
    const { body } = await ask({ attestation: good, quote: 'ignored', event_log: 'ignored' });
    expect(body).toMatchObject({ is_valid: true, details: { app_info: { app_id: SIMULATED_GUEST.appId } } });
    expect(body.checks.find(({ name }) => name === 'attestation.events-agree')?.outcome).toBe('pass');
    const other = await platform.evidence(new Uint8Array(64).fill(8));
    expect((await ask({ attestation: attestation(other.quote) })).body).toMatchObject({
      is_valid: false,
      code: 'ATTESTATION_MISMATCH',
    });
  });

  it('names each register that differs when asked for debug', async () => {
    const event_log = evidence.eventLog.replaceAll('1111', '1112');
    expect((await ask({ event_log })).body.details.rtmr_debug).toBeNull();
    const { body } = await ask({ event_log, debug: true });
    expect(body.details.rtmr_debug).toMatchObject([
      {
        rtmr: 'rtmr3',
        events: expect.arrayContaining([expect.objectContaining({ event_name: 'app-id', status: 'mismatch' })]),
      },
    ]);
  });

  it.each<[string, string, string]>([
    ['nothing', '', 'EVIDENCE_FORMAT'],
    ['no JSON', '{"quote":', 'EVIDENCE_FORMAT'],
    ['an array', '[]', 'EVIDENCE_FORMAT'],
    ['an empty request', '{}', 'EVIDENCE_FORMAT'],
    ['a quote that is not text', '{"quote":7}', 'EVIDENCE_FORMAT'],
    ['a quote that is not hex', '{"quote":"zz!"}', 'EVIDENCE_FORMAT'],
    ['an attestation of no version', '{"attestation":"4142","quote":"00"}', 'ATTESTATION_VERSION'],
  ])('%s is answered with 200 and the reason', async (_what, body, code) => {
    const answer = await post(body);
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ is_valid: false, code, details: { quote_verified: false } });
    expect(answer.body.reason).not.toBe('');
  });

  it('denies by the strict policy what dstack-verifier would let pass, and says the facts all the same', async () => {
    const strict = await start({ policy: {} });
    const { body } = await ask({}, strict);
    expect(body).toMatchObject({ is_valid: false, code: 'POLICY_TRUST_ANCHOR' });
    expect(body.details).toMatchObject({ quote_verified: true, event_log_verified: true, tcb_status: 'UpToDate' });
    expect((await ask({}, await start({ trustAnchors: [INTEL_SGX_ROOT] }))).body).toMatchObject({
      is_valid: false,
      code: 'COLLATERAL_UNAVAILABLE',
      details: { collateral_errors: [{ code: 'NOT_AUTHENTIC' }] },
    });
  });

  it('without collateral names each endpoint, and that a retry can help', async () => {
    const { body } = await ask(
      {},
      await start({ endpoints: [{ url: 'http://127.0.0.1:1' }, { url: 'http://127.0.0.1:2' }] }),
    );
    expect(body).toMatchObject({ is_valid: false, code: 'COLLATERAL_UNAVAILABLE', retryable: true });
    expect(body.details.collateral_errors).toMatchObject([{ code: 'UNREACHABLE' }, { code: 'UNREACHABLE' }]);
    expect(body.reason).toMatch(/127\.0\.0\.1:1.*127\.0\.0\.1:2/);
  });
});

describe('the server', () => {
  it('says it is healthy in the words of dstack-verifier', async () => {
    const response = await fetch(`http://127.0.0.1:${verifier.port}/health`);
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({
      status: 'ok',
      service: 'dstack-verifier',
      unsafe: ['unsafeProcessGuestAccepted', 'unsafeTrustAnchorAccepted'],
      collateral: { endpoints: [{ endpoint: platform.pccs }] },
    });
  });

  it.each([
    ['GET', '/verify', 405],
    ['POST', '/health', 405],
    ['GET', '/', 404],
    ['GET', '/verify/../health', 404],
  ])('%s %s is %i', async (method, path, status) => {
    const answer = await raw(`${method} ${path} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`);
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  });

  it.each([true, false])(
    'refuses a body over the limit, declared (%s) or not, and goes on serving',
    async (declared) => {
      const size = MAX_BODY_BYTES + 1;
      const head = `POST /verify HTTP/1.1\r\nhost: x\r\n${declared ? `content-length: ${size}` : 'transfer-encoding: chunked'}\r\n\r\n`;
      const body = declared ? '' : `${size.toString(16)}\r\n${'x'.repeat(size)}\r\n0\r\n\r\n`;
      expect(await raw(head + body)).toMatch(/^HTTP\/1\.1 413 [\s\S]*body-too-large/);
      expect((await ask()).body.is_valid).toBe(true);
    },
  );
});

/** Sends bytes as they are; resolves with all that comes back until the server closes or the answer is whole. */
function raw(text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(verifier.port, '127.0.0.1', () => socket.write(text));
    socket.on('data', (chunk) => {
      answer += chunk.toString();
      if (/\}\s*$/.test(answer)) socket.end();
    });
    socket.on('close', () => resolve(answer));
    socket.on('error', (error) => (answer === '' ? reject(error) : resolve(answer)));
  });
}
