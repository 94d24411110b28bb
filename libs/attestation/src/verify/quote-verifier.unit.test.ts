import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ParsedQuote, parseQuote } from '../abi/index.js';
import type { QuoteCollateralV3 } from '../collateral/quote-collateral.js';
import { TEST_FROM, TEST_NOW, TEST_UNTIL, type TestCollateral, TestPlatform } from '../testing/test-platform.js';
import { QuoteVerifier, type QuoteVerifierOptions } from './quote-verifier.js';
import type { VerifyResult } from './verified-quote.js';
import { verifyParsedQuote } from './verify-parsed-quote.js';

const platform = new TestPlatform();
const other = new TestPlatform();
const trustAnchors = [platform.trustAnchor, other.trustAnchor];
const good = platform.collateral({ levels: [{ status: 'UpToDate', advisories: ['INTEL-SA-1'] }] });

function parsed(bytes: Uint8Array): ParsedQuote {
  const result = parseQuote(bytes);
  if (!result.ok) throw new Error(result.failed.detail);
  return result.quote;
}

function verifier(options: QuoteVerifierOptions = {}): QuoteVerifier {
  return new QuoteVerifier({ trustAnchors, ...options });
}

function stateless(quote: ParsedQuote, collateral: QuoteCollateralV3, now = TEST_NOW): VerifyResult {
  return verifyParsedQuote(quote, collateral, { now, trustAnchors });
}

function codeOf(result: VerifyResult): string {
  return result.ok ? 'accepted' : result.code;
}

function flip(bytes: Uint8Array, offset: number): Uint8Array {
  const copy = new Uint8Array(bytes);
  copy[offset] = (copy[offset] ?? 0) ^ 1;
  return copy;
}

/** A verifier that has seen the good quote with the good collateral. */
function warm(options: QuoteVerifierOptions = {}): QuoteVerifier {
  const warmed = verifier(options);
  expect(codeOf(warmed.verifyParsed(parsed(platform.quote()), good, TEST_NOW))).toBe('accepted');
  return warmed;
}

describe('QuoteVerifier', () => {
  const shapes: readonly TestCollateral[] = [
    {},
    { levels: [{ status: 'OutOfDate' }] },
    { levels: [{ status: 'Revoked' }] },
    { qeLevels: [{ isvSvn: 4, status: 'OutOfDate' }] },
    { revoked: ['pck'] },
    { revoked: ['intermediate'] },
    { revoked: ['signer'] },
    { fmspc: '00a06f050001' },
    { crlUntil: new Date('2025-12-31T00:00:00Z') },
    { tcbInfoExtra: { tdxModuleIdentities: [] } },
    { identityExtra: { isvprodid: 3 } },
  ];
  const collaterals: readonly QuoteCollateralV3[] = [
    good,
    ...shapes.map((shape) => platform.collateral(shape)),
    other.collateral(),
    { ...good, tcb_info: good.tcb_info.replace('UpToDate', 'OutOfDate') },
    { ...good, pck_crl: platform.collateral({ revoked: ['pck'] }).pck_crl },
    { ...good, pck_crl_issuer_chain: other.collateral().pck_crl_issuer_chain },
    {} as QuoteCollateralV3,
  ];
  const base = platform.quote();
  const quotes: readonly ParsedQuote[] = [
    base,
    platform.quote({ version: 5 }),
    platform.quote({ reportData: new Uint8Array(64).fill(9) }),
    platform.quote({ tdAttributes: '0100001000000000' }),
    platform.quote({ teeTcbSvn: [3, 1, 3] }),
    platform.quote({ teeTcbSvn: [5, 0, 3] }),
    platform.quote({ version: 5, teeTcbSvn: [5, 0, 3], teeTcbSvn2: [9, 1, 3] }),
    platform.quote({ seamAttributes: new Uint8Array(8).fill(1) }),
    platform.quote({ qeReportData: new Uint8Array(64) }),
    platform.quote({ qeAttributes: 0x13 }),
    other.quote(),
    ...[200, 640, 701, 780, 1160, 1221].map((offset) => flip(base, offset)),
    // A byte in the middle of the certificate chain, and one that is white space of the PEM.
    flip(base, 2000),
    new Uint8Array([...base.subarray(0, -1), 0x0a]),
  ].map(parsed);
  const times = [
    TEST_NOW,
    TEST_FROM,
    TEST_UNTIL,
    new Date(TEST_FROM.getTime() - 1),
    new Date(TEST_UNTIL.getTime() + 1),
  ];

  it.each<[string, QuoteVerifierOptions]>([
    ['with room for everything', {}],
    ['with hardly any room', { collateralMax: 2, platformsMax: 1, enclavesMax: 1 }],
    ['with no room at all', { collateralMax: 0 }],
  ])('answers as the stateless form does, check by check, in whatever order it is asked, %s', (_what, options) => {
    const step = fc.record({
      quote: fc.constantFrom(...quotes),
      collateral: fc.oneof(fc.constant(good), fc.constantFrom(...collaterals)),
      now: fc.oneof(fc.constant(TEST_NOW), fc.constantFrom(...times)),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 25 }), (steps) => {
        const cached = verifier(options);
        for (const { quote, collateral, now } of steps) {
          expect(cached.verifyParsed(quote, collateral, now)).toEqual(stateless(quote, collateral, now));
        }
      }),
      { numRuns: 60 },
    );
  });

  it('checks the time at every use', () => {
    const warmed = warm();
    const at = (now: Date) => codeOf(warmed.verifyParsed(parsed(platform.quote()), good, now));
    expect(at(new Date(TEST_UNTIL.getTime() + 1))).toBe('COLLATERAL_EXPIRED');
    expect(at(new Date(TEST_FROM.getTime() - 1))).toBe('COLLATERAL_NOT_YET_VALID');
    expect(at(TEST_NOW)).toBe('accepted');
  });

  it('a known platform and enclave mean nothing under collateral that revokes them', () => {
    const warmed = warm();
    const revoked = platform.collateral({ revoked: ['pck'] });
    expect(codeOf(warmed.verifyParsed(parsed(platform.quote()), revoked, TEST_NOW))).toBe('CERTIFICATE_REVOKED');
    const spliced = { ...good, pck_crl: revoked.pck_crl };
    expect(codeOf(warmed.verifyParsed(parsed(platform.quote()), spliced, TEST_NOW))).toBe('CERTIFICATE_REVOKED');
  });

  it('a body that the known attestation key did not sign is refused', () => {
    const warmed = warm();
    expect(codeOf(warmed.verifyParsed(parsed(flip(platform.quote(), 200)), good, TEST_NOW))).toBe('QUOTE_SIGNATURE');
  });

  it('a refusal leaves nothing behind that would be accepted later', () => {
    const cold = verifier();
    const forged = { ...good, tcb_info: good.tcb_info.replace('UpToDate', 'OutOfDate') };
    const bad = parsed(platform.quote({ qeReportData: new Uint8Array(64) }));
    for (let again = 0; again < 3; again += 1) {
      expect(codeOf(cold.verifyParsed(parsed(platform.quote()), forged, TEST_NOW))).toBe('COLLATERAL_SIGNATURE');
      expect(codeOf(cold.verifyParsed(bad, good, TEST_NOW))).toBe('QE_REPORT_BINDING');
    }
  });

  it('is not moved by a caller that changes what it gave in or got out', () => {
    const bytes = Buffer.from(platform.quote());
    const collateral = { ...good };
    const verifying = verifier();
    const first = verifying.verify({ quote: bytes, collateral, now: TEST_NOW });
    const fresh = verifier().verify({ quote: platform.quote(), collateral: good, now: TEST_NOW });
    const { verified } = first;
    for (const array of [
      verified.pck.ppid,
      verified.pck.components,
      verified.pck.cpuSvn,
      verified.quote.bytes,
      bytes,
    ]) {
      array.fill(0xee);
    }
    verified.notAfter.setTime(0);
    expect(() => Object.assign(first.checks[3] ?? {}, { outcome: 'fail' })).toThrow(TypeError);
    expect(() => Object.assign(verified.tcb, { status: 'UpToDate' })).toThrow(TypeError);
    collateral.tcb_info = '{}';
    const again = verifying.verify({ quote: platform.quote(), collateral: good, now: TEST_NOW });
    expect({ ...again, verified: 0, checks: again.checks.map(({ outcome }) => outcome) }).toEqual({
      ...{ ...fresh, verified: 0, checks: fresh.checks.map(({ outcome }) => outcome) },
    });
    expect(again.verified.pck).toEqual(fresh.verified.pck);
    expect(() => verifying.verify({ quote: platform.quote(), collateral, now: TEST_NOW })).toThrow(
      expect.objectContaining({ code: 'TCB_INFO_FORMAT' }),
    );
  });

  it('reads each field of the collateral once: an object that answers twice gets its first answer verified', () => {
    let reads = 0;
    const twoFaced = {
      ...good,
      get tcb_info() {
        reads += 1;
        return reads === 1 ? good.tcb_info : '{}';
      },
    };
    expect(codeOf(verifier().verifyParsed(parsed(platform.quote()), twoFaced, TEST_NOW))).toBe('accepted');
    expect(reads).toBe(1);
  });

  it('an anchor changed after the verifier was made stays what it was', () => {
    const anchor = { ...platform.trustAnchor, der: new Uint8Array(platform.trustAnchor.der) };
    const made = new QuoteVerifier({ trustAnchors: [anchor] });
    anchor.der.set(other.trustAnchor.der.subarray(0, anchor.der.length));
    expect(codeOf(made.verifyParsed(parsed(other.quote()), other.collateral(), TEST_NOW))).toBe('UNTRUSTED_ROOT');
    expect(codeOf(made.verifyParsed(parsed(platform.quote()), good, TEST_NOW))).toBe('accepted');
  });

  it('trusts Intel alone by default', () => {
    const result = new QuoteVerifier().verifyParsed(parsed(platform.quote()), good, TEST_NOW);
    expect(codeOf(result)).toBe('UNTRUSTED_ROOT');
  });
});
