import { describe, expect, it } from 'vitest';
import { APPRAISE_CHECKS, appraise } from '../appraise/index.js';
import { toPem } from '../testing/test-pki.js';
import { TEST_FROM, TEST_NOW, TEST_UNTIL, TestPlatform } from '../testing/test-platform.js';
import { QuoteVerificationError } from './quote-verification-error.js';
import { InvalidTrustAnchorError } from './trust-anchor.js';
import { VERIFY_CHECKS } from './verify-checks.js';
import { type VerifyQuoteInput, verifyQuote } from './verify-quote.js';

const platform = new TestPlatform();
const input: VerifyQuoteInput = {
  quote: platform.quote(),
  collateral: platform.collateral({ levels: [{ status: 'SWHardeningNeeded', advisories: ['INTEL-SA-1'] }] }),
  now: TEST_NOW,
  roots: [platform.trustAnchor],
};

function refusal(change: Partial<VerifyQuoteInput>): QuoteVerificationError {
  try {
    verifyQuote({ ...input, ...change });
  } catch (error) {
    if (error instanceof QuoteVerificationError) return error;
    throw error;
  }
  throw new Error('accepted');
}

describe('verifyQuote', () => {
  it('answers status, advisories, facts and every check of both stages', () => {
    const verdict = verifyQuote(input);
    expect(verdict).toMatchObject({
      ...{ status: 'SWHardeningNeeded', advisoryIds: ['INTEL-SA-1'], qeStatus: 'UpToDate', moduleStatus: 'UpToDate' },
      ...{ tee: 'TDX', debug: false, fmspc: '00a06f050000', pceId: '0000', tcbEvaluationDataNumber: 19 },
      ...{ notBefore: TEST_FROM, notAfter: TEST_UNTIL },
    });
    expect(verdict.checks.map(({ name }) => name)).toEqual(['quote.format', ...VERIFY_CHECKS]);
    expect(verdict.checks.every(({ outcome }) => outcome === 'pass')).toBe(true);
    const { verified, ...facts } = verdict;
    expect(structuredClone(facts)).toEqual(facts);
    const appraised = appraise(verified, { unsafeTrustAnchorAccepted: true });
    expect(appraised).toMatchObject({ ok: false, code: 'POLICY_TCB_STATUS' });
    expect(appraised.checks).toHaveLength(APPRAISE_CHECKS.length);
  });

  it('takes roots as anchors, PEM and DER, and the time as Date and Unix seconds', () => {
    const seconds = TEST_NOW.getTime() / 1000;
    for (const roots of [[platform.trustAnchor], [toPem(platform.rootDer)], [platform.rootDer]]) {
      expect(verifyQuote({ ...input, roots, now: seconds }).trustAnchor).toBe(platform.trustAnchor.fingerprint);
    }
  });

  it('trusts Intel alone by default', () => {
    const { roots: _, ...bare } = input;
    expect(() => verifyQuote(bare)).toThrow(expect.objectContaining({ code: 'UNTRUSTED_ROOT' }));
  });

  it('throws the code and offset of a format error, with no verification check called passed', () => {
    const { code, offset, checks, retryable } = refusal({ quote: input.quote.subarray(0, 1500) });
    expect({ code, offset, retryable }).toEqual({ code: 'QUOTE_TRUNCATED', offset: 632, retryable: false });
    expect(checks).toMatchObject([{ name: 'quote.format', outcome: 'fail' }]);
  });

  it('throws the code of a refusal with all checks', () => {
    const error = refusal({ now: new Date('2027-01-01T00:00:00Z') });
    expect(error).toMatchObject({ code: 'COLLATERAL_EXPIRED', failed: { name: 'collateral.window' }, offset: null });
    expect(error.checks).toHaveLength(VERIFY_CHECKS.length + 1);
    expect(error.message).toContain('collateral.window');
  });

  it('refuses a revoked level, and says that it is one', () => {
    const collateral = platform.collateral({ levels: [{ status: 'Revoked' }] });
    expect(refusal({ collateral })).toMatchObject({ code: 'TCB_REVOKED', tcbStatus: 'Revoked' });
  });

  it.each([null, undefined, 'text', 7, []])('refuses %j as collateral', (collateral) => {
    expect(refusal({ collateral: collateral as never }).code).toBe('COLLATERAL_FORMAT');
  });

  it('is not moved by changes of the input after the call', () => {
    const quote = Buffer.from(input.quote);
    const { verified } = verifyQuote({ ...input, quote });
    quote.fill(0);
    expect(verified.quote.bytes).toEqual(input.quote);
  });

  it('calls a wrong root or time the bug that it is', () => {
    expect(() => verifyQuote({ ...input, roots: ['no certificate'] })).toThrow(InvalidTrustAnchorError);
    expect(() => verifyQuote({ ...input, roots: [platform.signerDer] })).toThrow(InvalidTrustAnchorError);
    expect(() => verifyQuote({ ...input, now: Number.NaN })).toThrow(RangeError);
  });
});
