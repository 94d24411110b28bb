import { describe, expect, it } from 'vitest';
import { parseQuote } from '../abi/index.js';
import { hashBytes, toHex } from '../bytes.js';
import { TEST_NOW, type TestCollateral, TestPlatform, type TestQuote } from '../testing/test-platform.js';
import { verifyParsedQuote } from '../verify/index.js';
import { APPRAISE_CHECKS, appraise } from './appraise.js';
import type { AppraiseResult } from './appraised-evidence.js';
import type { AppraisalPolicy } from './policy.js';

const platform = new TestPlatform();

function decide(quote: TestQuote, policy: AppraisalPolicy, collateral: TestCollateral = {}): AppraiseResult {
  const parsed = parseQuote(platform.quote(quote));
  if (!parsed.ok) throw new Error(parsed.failed.detail);
  const trustAnchors = [platform.trustAnchor];
  const verified = verifyParsedQuote(parsed.quote, platform.collateral(collateral), { now: TEST_NOW, trustAnchors });
  if (!verified.ok) throw new Error(verified.failed.detail);
  return appraise(verified.quote, policy);
}

/** The test root is not Intel's, so that every other test names that weakening. */
const dev: AppraisalPolicy = { unsafeTrustAnchorAccepted: true };

describe('appraise', () => {
  it('refuses every root but Intel unless named unsafe', () => {
    expect(decide({}, {})).toMatchObject({
      ok: false,
      code: 'POLICY_TRUST_ANCHOR',
      failed: { name: 'policy.trust-anchor' },
    });
    const result = decide({}, dev);
    if (!result.ok) throw new Error(result.failed.detail);
    expect(result.evidence.unsafe).toEqual(['unsafeTrustAnchorAccepted']);
    expect(toHex(result.evidence.deviceId)).toBe(toHex(hashBytes('sha256', platform.ppid)));
    expect(result.checks.map((check) => check.name)).toEqual([...APPRAISE_CHECKS]);
  });

  it('lists what the policy does not ask for as skipped', () => {
    const result = decide({}, dev);
    const skipped = result.checks.filter((check) => check.outcome === 'skipped').map((check) => check.name);
    expect(skipped).toEqual([
      'policy.advisories',
      'policy.tcb-evaluation-number',
      'policy.tcb-date',
      'policy.service-td',
      'policy.references',
      'policy.report-data',
    ]);
  });

  it.each<[string, TestQuote, AppraisalPolicy]>([
    ['policy.debug', { tdAttributes: '0100001000000000' }, { unsafeDebugAccepted: true }],
    ['policy.sept-ve-disable', { tdAttributes: '0000000000000000' }, { unsafeSeptVeNotRequired: true }],
    ['policy.service-td', { version: 5, mrServiceTd: new Uint8Array(48).fill(1) }, { unsafeServiceTdAccepted: true }],
  ])('%s refuses by default and yields to the named weakening only', (name, quote, weakening) => {
    expect(decide(quote, dev)).toMatchObject({ ok: false, failed: { name } });
    const result = decide(quote, { ...dev, ...weakening });
    expect(result.ok && result.evidence.unsafe).toEqual(
      [...Object.keys(weakening), 'unsafeTrustAnchorAccepted'].sort(),
    );
  });

  it.each([
    ['0200001000000000', 'an untrusted-group bit'],
    ['0001001000000000', 'reserved bit 8'],
    ['0000001080000000', 'reserved bit 39'],
    ['0000003000000000', 'reserved bit 29'],
  ])('refuses TD attributes %s (%s), and no weakening covers them', (tdAttributes) => {
    const everything: AppraisalPolicy = {
      ...dev,
      unsafeDebugAccepted: true,
      unsafeSeptVeNotRequired: true,
      unsafeServiceTdAccepted: true,
    };
    expect(decide({ tdAttributes }, everything)).toMatchObject({ ok: false, code: 'POLICY_ATTRIBUTES' });
  });

  it.each(['0000005000000000', '0000009000000000', '0000001000000080'])(
    'accepts PKS, KL and PERFMON (%s)',
    (tdAttributes) => {
      expect(decide({ tdAttributes }, dev).ok).toBe(true);
    },
  );

  it('accepts only UpToDate unless a status is named', () => {
    const collateral: TestCollateral = { levels: [{ status: 'OutOfDate', advisories: ['INTEL-SA-9'] }] };
    expect(decide({}, dev, collateral)).toMatchObject({ ok: false, failed: { name: 'policy.tcb-status' } });
    expect(decide({}, { ...dev, unsafeAcceptedStatuses: ['SWHardeningNeeded'] }, collateral).ok).toBe(false);
    const accepting: AppraisalPolicy = { ...dev, unsafeAcceptedStatuses: ['OutOfDate'] };
    const result = decide({}, accepting, collateral);
    expect(result.ok && result.evidence.unsafe).toContain('unsafeAcceptedStatuses');
    expect(decide({}, { ...accepting, rejectedAdvisories: ['INTEL-SA-9'] }, collateral)).toMatchObject({
      code: 'POLICY_ADVISORY',
    });
  });

  it.each<[string, AppraisalPolicy, AppraisalPolicy]>([
    ['policy.tee', { tee: 'TDX' }, { tee: 'SGX' }],
    ['policy.tcb-evaluation-number', { minTcbEvaluationDataNumber: 19 }, { minTcbEvaluationDataNumber: 20 }],
    ['policy.tcb-date', { minTcbLevelDate: new Date('2025-05-14') }, { minTcbLevelDate: new Date('2025-05-15') }],
    ['policy.tcb-date', { minTcbLevelDate: new Date(0) }, { minTcbLevelDate: new Date(Number.NaN) }],
    ['policy.report-data', { reportData: new Uint8Array(64).fill(0x42) }, { reportData: new Uint8Array(64) }],
    ['policy.references', { references: { mrTd: [new Uint8Array(48).fill(0xaa)] } }, { references: { mrTd: [] } }],
    ['policy.references', { references: {} }, { references: { mrEnclave: [new Uint8Array(32)] } }],
  ])('%s holds or refuses by its value', (name, good, bad) => {
    expect(decide({}, { ...dev, ...good }).ok).toBe(true);
    expect(decide({}, { ...dev, ...bad })).toMatchObject({ ok: false, failed: { name } });
  });
});
