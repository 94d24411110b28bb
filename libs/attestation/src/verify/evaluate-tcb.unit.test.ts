import { describe, expect, it } from 'vitest';
import { parseQuote } from '../abi/index.js';
import {
  TEST_NOW,
  type TestCollateral,
  type TestLevel,
  TestPlatform,
  type TestQuote,
} from '../testing/test-platform.js';
import { converge } from './evaluate-tcb.js';
import type { TcbStatus } from './tcb-status.js';
import type { VerifyResult } from './verified-quote.js';
import { verifyParsedQuote } from './verify-parsed-quote.js';

const platform = new TestPlatform();

function verify(quote: TestQuote, collateral: TestCollateral): VerifyResult {
  const parsed = parseQuote(platform.quote(quote));
  if (!parsed.ok) throw new Error(parsed.failed.detail);
  return verifyParsedQuote(parsed.quote, platform.collateral(collateral), {
    now: TEST_NOW,
    trustAnchors: [platform.trustAnchor],
  });
}

function status(quote: TestQuote, collateral: TestCollateral): string {
  const result = verify(quote, collateral);
  return result.ok ? result.quote.tcb.status : result.code;
}

const only = (text: string): readonly TestLevel[] => [{ status: text }];

describe('convergence', () => {
  const table: readonly (readonly [TcbStatus, TcbStatus, TcbStatus])[] = [
    ['UpToDate', 'UpToDate', 'UpToDate'],
    ['UpToDate', 'OutOfDate', 'OutOfDate'],
    ['SWHardeningNeeded', 'UpToDate', 'SWHardeningNeeded'],
    ['SWHardeningNeeded', 'OutOfDate', 'OutOfDate'],
    ['ConfigurationNeeded', 'UpToDate', 'ConfigurationNeeded'],
    ['ConfigurationNeeded', 'OutOfDate', 'OutOfDateConfigurationNeeded'],
    ['ConfigurationAndSWHardeningNeeded', 'UpToDate', 'ConfigurationAndSWHardeningNeeded'],
    ['ConfigurationAndSWHardeningNeeded', 'OutOfDate', 'OutOfDateConfigurationNeeded'],
    ['OutOfDate', 'UpToDate', 'OutOfDate'],
    ['OutOfDate', 'OutOfDate', 'OutOfDate'],
    ['OutOfDateConfigurationNeeded', 'UpToDate', 'OutOfDateConfigurationNeeded'],
    ['OutOfDateConfigurationNeeded', 'OutOfDate', 'OutOfDateConfigurationNeeded'],
    ['Revoked', 'UpToDate', 'Revoked'],
    ['UpToDate', 'Revoked', 'Revoked'],
    ['OutOfDate', 'Revoked', 'Revoked'],
  ];
  it.each(table)('%s with %s is %s', (level, other, expected) => {
    expect(converge(level, other)).toBe(expected);
  });

  it.each(table)('platform level %s with QE %s ends in %s', (level, qe, expected) => {
    const result = status({}, { levels: only(level), qeLevels: [{ isvSvn: 4, status: qe }] });
    expect(result).toBe(expected === 'Revoked' ? 'TCB_REVOKED' : expected);
  });

  it.each(table)('platform level %s with module %s ends in %s', (level, module, expected) => {
    const result = status({}, { levels: only(level), moduleLevels: [{ isvSvn: 4, status: module }] });
    expect(result).toBe(expected === 'Revoked' ? 'TCB_REVOKED' : expected);
  });
});

describe('level matching', () => {
  const levels: readonly TestLevel[] = [
    { sgx: [3], pceSvn: 5, tdx: [0, 0, 1], status: 'OutOfDate', advisories: ['INTEL-SA-1'] },
    { sgx: [5], pceSvn: 13, tdx: [6, 0, 4], status: 'UpToDate' },
    { sgx: [5], pceSvn: 13, tdx: [5, 0, 3], status: 'SWHardeningNeeded', advisories: ['INTEL-SA-2'] },
  ];

  it('does not depend on the order in the document', () => {
    expect(status({}, { levels })).toBe('SWHardeningNeeded');
    expect(status({}, { levels: levels.toReversed() })).toBe('SWHardeningNeeded');
  });

  it('leaves TDX components 0 and 1 out when the module has its own identity', () => {
    expect(status({ teeTcbSvn: [4, 1, 4] }, { levels })).toBe('UpToDate');
    expect(status({ teeTcbSvn: [4, 1, 2] }, { levels })).toBe('OutOfDate');
  });

  it('compares all TDX components for module version 0', () => {
    expect(status({ teeTcbSvn: [6, 0, 4] }, { levels })).toBe('UpToDate');
    expect(status({ teeTcbSvn: [5, 0, 4] }, { levels })).toBe('SWHardeningNeeded');
  });

  it('refuses a platform below every level, without a status', () => {
    expect(verify({}, { levels: [{ sgx: [6], status: 'UpToDate' }] })).toMatchObject({
      ok: false,
      code: 'TCB_NOT_SUPPORTED',
      tcbStatus: null,
      failed: { name: 'tcb.status' },
    });
    expect(status({}, { levels: [{ pceSvn: 14, status: 'UpToDate' }] })).toBe('TCB_NOT_SUPPORTED');
    expect(status({ teeTcbSvn: [5, 1, 2] }, {})).toBe('TCB_NOT_SUPPORTED');
  });

  it('unites advisories of platform, module and QE without repeats, in that order', () => {
    const result = verify(
      {},
      {
        levels: [{ status: 'UpToDate', advisories: ['B', 'A'] }],
        moduleLevels: [{ isvSvn: 4, status: 'UpToDate', advisories: ['C', 'B'] }],
        qeLevels: [{ isvSvn: 4, status: 'UpToDate', advisories: ['A', 'D'] }],
      },
    );
    expect(result.ok && result.quote.tcb.advisoryIds).toEqual(['B', 'A', 'C', 'D']);
  });

  it('names a revoked level in the refusal', () => {
    expect(verify({}, { levels: only('Revoked') })).toMatchObject({
      ok: false,
      code: 'TCB_REVOKED',
      tcbStatus: 'Revoked',
    });
  });
});

describe('relaunch (TD 1.5)', () => {
  const moduleLevels: readonly TestLevel[] = [
    { isvSvn: 5, status: 'UpToDate' },
    { isvSvn: 3, status: 'OutOfDate' },
  ];
  const started: TestQuote = { version: 5, teeTcbSvn: [3, 1, 3], teeTcbSvn2: [5, 1, 3] };

  it('is advised when the loaded module is current', () => {
    expect(status(started, { moduleLevels })).toBe('TDRelaunchAdvised');
  });

  it('names a needed configuration', () => {
    expect(status(started, { moduleLevels, levels: only('ConfigurationNeeded') })).toBe(
      'TDRelaunchAdvisedConfigurationNeeded',
    );
  });

  it('holds for a loaded module of version 0 by the platform components', () => {
    expect(status({ ...started, teeTcbSvn2: [5, 0, 3] }, { moduleLevels })).toBe('TDRelaunchAdvised');
    expect(status({ ...started, teeTcbSvn2: [4, 0, 3] }, { moduleLevels })).toBe('OutOfDate');
  });

  it.each<[string, TestQuote, TestCollateral]>([
    ['the loaded module is old', { ...started, teeTcbSvn2: [4, 1, 3] }, { moduleLevels }],
    ['the loaded microcode is old', { ...started, teeTcbSvn2: [5, 1, 2] }, { moduleLevels }],
    ['the loaded module is unknown', { ...started, teeTcbSvn2: [5, 9, 3] }, { moduleLevels }],
    ['the report is 1.0', { teeTcbSvn: [3, 1, 3] }, { moduleLevels }],
    ['the QE is out of date', started, { moduleLevels, qeLevels: [{ isvSvn: 4, status: 'OutOfDate' }] }],
    ['the platform is out of date', started, { moduleLevels, levels: only('OutOfDate') }],
  ])('is not advised when %s', (_what, quote, collateral) => {
    expect(status(quote, collateral)).toBe('OutOfDate');
  });
});
