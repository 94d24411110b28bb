import {
  APPRAISE_CHECKS,
  type AppraisalPolicy,
  type AppraiseResult,
  appraise,
  CollateralClient,
  parseQuote,
  processVmConfigText,
  type TcbStatus,
  trustAnchorFromPem,
  VERIFY_CHECKS,
  type VerifyResult,
  verifyParsedQuote,
} from '@vouch/attestation';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PLATFORM } from '../platform.js';
import { fetchCollateral } from '../testing/fetch-collateral.js';
import { askSocket, SimulatorProcess } from '../testing/simulator-process.js';
import { type PlatformState, quoteForm } from './platform-state.js';

const instanceId = 'ab'.repeat(20);
const reportData = 'ee'.repeat(64);
const dev: AppraisalPolicy = { unsafeTrustAnchorAccepted: true };

let simulator: SimulatorProcess;
let anchorPem: string;

beforeAll(async () => {
  simulator = await SimulatorProcess.start({ SIMULATOR_UNSAFE_DEFECTS: '1' });
  anchorPem = await simulator.rootCaPem();
  const vmConfig = processVmConfigText({ osImageHash: 'cd'.repeat(32), vcpu: 2, memoryMiB: 2048 });
  const definition = { socketPath: socketPath(), vmConfig, mrConfigId: '00'.repeat(48) };
  expect((await simulator.admin('PUT', `/tds/${instanceId}`, definition)).status).toBe(200);
});

afterAll(() => simulator.dispose());

function socketPath(): string {
  return `${simulator.dataDir}/tsm.sock`;
}

/** The platform in a state, then a quote of its guest. */
async function quoteIn(state: PlatformState): Promise<Uint8Array> {
  expect(await simulator.admin('PUT', '/platform', state)).toEqual({ status: 200, body: state });
  const { body } = await askSocket(socketPath(), 'POST', '/quote', { reportData });
  return Buffer.from((body as { quote: string }).quote, 'base64');
}

/** The whole way: guest channel and collateral service on one side, the verifier on the other. */
async function verifyIn(state: PlatformState): Promise<VerifyResult> {
  const parsed = parseQuote(await quoteIn(state));
  if (!parsed.ok) throw new Error(parsed.failed.detail);
  const collateral = await fetchCollateral(simulator.pccs, quoteForm(state).tee, PLATFORM.fmspc);
  return verifyParsedQuote(parsed.quote, collateral, {
    now: new Date(),
    trustAnchors: [trustAnchorFromPem(anchorPem)],
  });
}

async function appraiseIn(state: PlatformState, policy: AppraisalPolicy): Promise<AppraiseResult> {
  const verified = await verifyIn(state);
  if (!verified.ok) throw new Error(`${verified.failed.name}: ${verified.failed.detail}`);
  return appraise(verified.quote, policy);
}

/** The healthy platform with quotes of the same form: the positive twin of a state. */
function twin({ tee, quoteVersion, tdReport }: PlatformState): PlatformState {
  return {
    ...(tee === undefined ? {} : { tee }),
    ...(quoteVersion === undefined ? {} : { quoteVersion }),
    ...(tdReport === undefined ? {} : { tdReport }),
  };
}

const TD15 = { quoteVersion: 5 } as const;
const SGX = { tee: 'sgx' } as const;

describe('every form of quote', () => {
  it.each<[string, PlatformState, string]>([
    ['TDX, version 4', {}, 'td10'],
    ['TDX 1.5, version 5', TD15, 'td15'],
    ['TDX 1.0, version 5', { ...TD15, tdReport: '1.0' }, 'td10'],
    ['SGX, version 3', SGX, 'sgx'],
    ['SGX, version 4', { ...SGX, quoteVersion: 4 }, 'sgx'],
    ['SGX, version 5', { ...SGX, quoteVersion: 5 }, 'sgx'],
  ])('%s: up to date, every check passes or has no meaning', async (_what, state, kind) => {
    const result = await verifyIn(state);
    if (!result.ok) throw new Error(`${result.failed.name}: ${result.failed.detail}`);
    expect(result.quote.tcb).toMatchObject({ status: 'UpToDate', advisoryIds: [], evaluationDataNumber: 20 });
    expect(result.quote.quote.report.kind).toBe(kind);
    expect(Buffer.from(result.quote.quote.report.reportData).toString('hex')).toBe(reportData);
    const skipped = result.checks.filter(({ outcome }) => outcome !== 'pass').map(({ name }) => name);
    expect(skipped).toEqual(kind === 'sgx' ? ['tdx.module'] : []);
    const tee = kind === 'sgx' ? 'SGX' : 'TDX';
    expect(appraise(result.quote, { ...dev, tee }).ok).toBe(true);
  });
});

/** Check that refuses, its code, the state that makes it. */
const REFUSED: readonly (readonly [(typeof VERIFY_CHECKS)[number], string, PlatformState])[] = [
  ['collateral.format', 'TCB_INFO_FORMAT', { malformed: ['tcb-info'] }],
  ['collateral.format', 'QE_IDENTITY_FORMAT', { malformed: ['qe-identity'] }],
  ['collateral.format', 'DER_FORMAT', { malformed: ['root-crl'] }],
  ['collateral.format', 'DER_FORMAT', { malformed: ['pck-crl'] }],
  ['collateral.tcb-signing-chain', 'CHAIN_INVALID', { forged: ['tcb-signing'] }],
  ['collateral.root-crl', 'CRL_INVALID', { forged: ['root-crl'] }],
  ['collateral.tcb-signer-revocation', 'CERTIFICATE_REVOKED', { revoked: ['tcb-signing'] }],
  ['collateral.tcb-info-signature', 'COLLATERAL_SIGNATURE', { forged: ['tcb-info'] }],
  ['collateral.qe-identity-signature', 'COLLATERAL_SIGNATURE', { forged: ['qe-identity'] }],
  ['collateral.kind', 'COLLATERAL_MISMATCH', { documentsSwapped: true }],
  ['collateral.kind', 'COLLATERAL_MISMATCH', { ...SGX, documentsSwapped: true }],
  ['pck.chain', 'CHAIN_INVALID', { forged: ['pck'] }],
  ['pck.chain', 'CHAIN_INVALID', { forged: ['platform-ca'] }],
  ['collateral.pck-crl', 'CRL_INVALID', { forged: ['pck-crl'] }],
  ['pck.revocation', 'CERTIFICATE_REVOKED', { revoked: ['pck'] }],
  ['pck.revocation', 'CERTIFICATE_REVOKED', { revoked: ['platform-ca'] }],
  ...(['platform-ca', 'tcb-signing', 'pck', 'tcb-info', 'qe-identity', 'root-crl', 'pck-crl'] as const).flatMap(
    (piece) =>
      [
        ['collateral.window', 'COLLATERAL_EXPIRED', { expired: [piece] }],
        ['collateral.window', 'COLLATERAL_NOT_YET_VALID', { notYetValid: [piece] }],
      ] as const,
  ),
  ['pck.platform', 'COLLATERAL_MISMATCH', { collateralFmspc: '00906ed50000' }],
  ['tdx.module', 'TDX_MODULE_MISMATCH', { mrSignerSeam: '01'.repeat(48) }],
  ['tdx.module', 'TDX_MODULE_MISMATCH', { seamAttributes: '0100000000000000' }],
  ['tdx.module', 'TDX_MODULE_MISMATCH', { teeTcbSvn: `0509${'00'.repeat(14)}` }],
  ['qe-report.signature', 'QE_REPORT_SIGNATURE', { forged: ['qe-report'] }],
  ['qe-report.signature', 'QE_REPORT_SIGNATURE', { ...SGX, forged: ['qe-report'] }],
  ['qe-report.binding', 'QE_REPORT_BINDING', { forged: ['qe-binding'] }],
  ['qe.identity', 'QE_IDENTITY_MISMATCH', { qe: { mrSigner: 'aa'.repeat(32) } }],
  ['qe.identity', 'QE_IDENTITY_MISMATCH', { ...SGX, qe: { mrSigner: 'aa'.repeat(32) } }],
  ['qe.identity', 'QE_IDENTITY_MISMATCH', { qe: { attributes: '1700000000000000e700000000000000' } }],
  ['qe.identity', 'QE_IDENTITY_MISMATCH', { qe: { miscSelect: '01000000' } }],
  ['qe.identity', 'QE_IDENTITY_MISMATCH', { qe: { isvProdId: 1 } }],
  ['qe.identity', 'TCB_NOT_SUPPORTED', { qe: { isvSvn: 1 } }],
  ['quote.signature', 'QUOTE_SIGNATURE', { forged: ['quote'] }],
  ['quote.signature', 'QUOTE_SIGNATURE', { ...TD15, forged: ['quote'] }],
  ['quote.signature', 'QUOTE_SIGNATURE', { ...SGX, forged: ['quote'] }],
  ['tcb.status', 'TCB_REVOKED', { tcbStatus: 'Revoked' }],
  ['tcb.status', 'TCB_REVOKED', { ...SGX, tcbStatus: 'Revoked' }],
  ['tcb.status', 'TCB_REVOKED', { moduleStatus: 'Revoked' }],
  ['tcb.status', 'TCB_REVOKED', { qeStatus: 'Revoked' }],
  ['tcb.status', 'TCB_NOT_SUPPORTED', { teeTcbSvn: '00'.repeat(16) }],
];

describe('verification refuses', () => {
  it.each(REFUSED)('%s (%s): %j', async (name, code, state) => {
    const refused = await verifyIn(state);
    expect(refused).toMatchObject({ ok: false, code, failed: { name, outcome: 'fail' } });
    const healthy = await verifyIn(twin(state));
    expect(healthy.checks.find((check) => check.name === name)?.outcome).toBe('pass');
  });

  it('has a refusal here for every check there is', () => {
    expect([...new Set(REFUSED.map(([name]) => name))].sort()).toEqual([...VERIFY_CHECKS].sort());
  });
});

describe('TCB statuses', () => {
  it.each<[TcbStatus, PlatformState]>([
    ['SWHardeningNeeded', { tcbStatus: 'SWHardeningNeeded' }],
    ['ConfigurationNeeded', { tcbStatus: 'ConfigurationNeeded' }],
    ['ConfigurationAndSWHardeningNeeded', { tcbStatus: 'ConfigurationAndSWHardeningNeeded' }],
    ['OutOfDate', { tcbStatus: 'OutOfDate' }],
    ['OutOfDateConfigurationNeeded', { tcbStatus: 'OutOfDateConfigurationNeeded' }],
    ['OutOfDate', { moduleStatus: 'OutOfDate' }],
    ['OutOfDate', { qeStatus: 'OutOfDate' }],
    ['OutOfDate', { qe: { isvSvn: 3 } }],
    ['OutOfDateConfigurationNeeded', { tcbStatus: 'ConfigurationNeeded', moduleStatus: 'OutOfDate' }],
    ['OutOfDateConfigurationNeeded', { ...SGX, tcbStatus: 'ConfigurationNeeded', qeStatus: 'OutOfDate' }],
    ['OutOfDate', { teeTcbSvn: `030105${'00'.repeat(13)}` }],
    ['OutOfDate', { ...TD15, teeTcbSvn: `030105${'00'.repeat(13)}` }],
    ['TDRelaunchAdvised', { ...TD15, moduleUpdatedSinceLaunch: true }],
    [
      'TDRelaunchAdvisedConfigurationNeeded',
      { ...TD15, moduleUpdatedSinceLaunch: true, tcbStatus: 'ConfigurationNeeded' },
    ],
    ['OutOfDate', { ...TD15, moduleUpdatedSinceLaunch: true, qeStatus: 'OutOfDate' }],
  ])('%s: %j, a fact to verification, refused and accepted by policy', async (status, state) => {
    const result = await verifyIn(state);
    if (!result.ok) throw new Error(`${result.failed.name}: ${result.failed.detail}`);
    expect(result.quote.tcb.status).toBe(status);
    const policy: AppraisalPolicy = { ...dev, tee: quoteForm(state).tee === 'sgx' ? 'SGX' : 'TDX' };
    expect(appraise(result.quote, policy)).toMatchObject({ ok: false, failed: { name: 'policy.tcb-status' } });
    expect(appraise(result.quote, { ...policy, unsafeAcceptedStatuses: [status] }).ok).toBe(true);
  });

  it('advisories of platform, module and quoting enclave come in that order', async () => {
    const result = await verifyIn({ advisoryIds: ['A', 'B'], moduleAdvisoryIds: ['C'], qeAdvisoryIds: ['D', 'A'] });
    expect(result.ok && result.quote.tcb.advisoryIds).toEqual(['A', 'B', 'C', 'D']);
  });
});

/** Check that refuses, the state, a policy under which it does, and one under which the same state is accepted. */
const DENIED: readonly (readonly [
  (typeof APPRAISE_CHECKS)[number],
  PlatformState,
  AppraisalPolicy,
  AppraisalPolicy,
])[] = [
  ['policy.trust-anchor', {}, {}, dev],
  ['policy.tee', SGX, dev, { ...dev, tee: 'SGX' }],
  ['policy.tcb-status', { tcbStatus: 'OutOfDate' }, dev, { ...dev, unsafeAcceptedStatuses: ['OutOfDate'] }],
  ['policy.advisories', { advisoryIds: ['SIM-1'] }, { ...dev, rejectedAdvisories: ['SIM-1'] }, dev],
  ['policy.tcb-evaluation-number', { evaluationDataNumber: 17 }, { ...dev, minTcbEvaluationDataNumber: 18 }, dev],
  ['policy.tcb-date', {}, { ...dev, minTcbLevelDate: new Date('2025-06-01') }, dev],
  ['policy.debug', { debug: true }, dev, { ...dev, unsafeDebugAccepted: true }],
  ['policy.debug', { ...SGX, debug: true }, { ...dev, tee: 'SGX' }, { ...dev, tee: 'SGX', unsafeDebugAccepted: true }],
  ['policy.sept-ve-disable', { tdAttributes: '00'.repeat(8) }, dev, { ...dev, unsafeSeptVeNotRequired: true }],
  ['policy.service-td', { ...TD15, mrServiceTd: '01'.repeat(48) }, dev, { ...dev, unsafeServiceTdAccepted: true }],
  ['policy.references', {}, { ...dev, references: { mrTd: [new Uint8Array(48)] } }, dev],
  [
    'policy.report-data',
    {},
    { ...dev, reportData: new Uint8Array(64) },
    { ...dev, reportData: Buffer.from(reportData, 'hex') },
  ],
];

describe('policy denies', () => {
  it.each(DENIED)('%s: %j under %j', async (name, state, strict, lenient) => {
    expect(await appraiseIn(state, strict)).toMatchObject({ ok: false, failed: { name } });
    expect(await appraiseIn(state, lenient)).toMatchObject({ ok: true });
  });

  it('policy.td-attributes: a reserved bit under any policy', async () => {
    const everything: AppraisalPolicy = { ...dev, unsafeDebugAccepted: true, unsafeSeptVeNotRequired: true };
    const refused = await appraiseIn({ tdAttributes: '0200001000000000' }, everything);
    expect(refused).toMatchObject({ ok: false, failed: { name: 'policy.td-attributes' } });
    expect(await appraiseIn({}, everything)).toMatchObject({ ok: true });
  });

  it('has a denial here for every check there is', () => {
    const covered = new Set([...DENIED.map(([name]) => name), 'policy.td-attributes']);
    expect([...covered].sort()).toEqual([...APPRAISE_CHECKS].sort());
  });
});

describe('the platform setting', () => {
  it('survives a restart, and an empty one is healthy again', async () => {
    const broken = await quoteIn({ qe: { mrSigner: 'aa'.repeat(32) } });
    expect(broken).toBeDefined();
    await simulator.end('SIGKILL');
    await simulator.start();
    expect(await simulator.admin('GET', '/platform')).toMatchObject({ body: { qe: { mrSigner: 'aa'.repeat(32) } } });
    expect(await verifyIn({})).toMatchObject({ ok: true });
  });

  it.each<[string, unknown]>([
    ['tcbStatus', { tcbStatus: 'Fine' }],
    ['qe.mrSigner', { qe: { mrSigner: 'zz' } }],
    ['quoteVersion', { quoteVersion: 3 }],
    ['quoteVersion', { mrServiceTd: '01'.repeat(48) }],
    ['body', { unknown: 1 }],
  ])('refuses a wrong %s', async (field, state) => {
    expect(await simulator.admin('PUT', '/platform', state)).toMatchObject({
      status: 400,
      body: { error: { code: 'body-invalid', message: expect.stringContaining(field) } },
    });
  });

  it('a collateral client keeps nothing of a platform whose collateral is forged or out of its time', async () => {
    const client = () =>
      new CollateralClient({
        endpoints: [{ url: simulator.pccs }],
        trustAnchors: [trustAnchorFromPem(anchorPem)],
        now: () => new Date(),
      });
    const parsed = async (state: PlatformState) => {
      const result = parseQuote(await quoteIn(state));
      if (!result.ok) throw new Error(result.failed.detail);
      return result.quote;
    };
    for (const state of [{ forged: ['tcb-info'] }, { expired: ['pck-crl'] }, { revoked: ['tcb-signing'] }] as const) {
      await expect(client().collateralFor(await parsed(state))).rejects.toMatchObject({
        code: 'COLLATERAL_UNAVAILABLE',
      });
    }
    expect(await client().collateralFor(await parsed({}))).toBeDefined();
  });

  it('is off unless the environment allows it, and what was stored then has no effect', async () => {
    await quoteIn({ tcbStatus: 'OutOfDate' });
    const strict = new SimulatorProcess(simulator.dataDir);
    await simulator.end('SIGTERM');
    try {
      await strict.start();
      expect(await strict.admin('PUT', '/platform', {})).toMatchObject({
        status: 403,
        body: { error: { code: 'defects-not-allowed' } },
      });
      expect(await strict.admin('GET', '/platform')).toEqual({ status: 200, body: {} });
    } finally {
      await strict.end('SIGTERM');
      await simulator.start();
    }
  });
});
