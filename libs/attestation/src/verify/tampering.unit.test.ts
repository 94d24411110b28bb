import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseQuote } from '../abi/index.js';
import { equalBytes } from '../bytes.js';
import type { QuoteCollateralV3 } from '../collateral/quote-collateral.js';
import { TEST_NOW, TestPlatform } from '../testing/test-platform.js';
import { verifyParsedQuote } from './verify-parsed-quote.js';

const platform = new TestPlatform();
const quotes = [platform.quote(), platform.quote({ version: 5 })] as const;
const collateral = platform.collateral({ levels: [{ status: 'UpToDate', advisories: ['INTEL-SA-1'] }] });
const options = { now: TEST_NOW, trustAnchors: [platform.trustAnchor] };

function verdict(quote: Uint8Array, pieces: QuoteCollateralV3): ReturnType<typeof verifyParsedQuote> | undefined {
  const parsed = parseQuote(quote);
  return parsed.ok ? verifyParsedQuote(parsed.quote, pieces, options) : undefined;
}

const facts = (result: ReturnType<typeof verdict>) =>
  result?.ok
    ? { tcb: result.quote.tcb, pck: result.quote.pck, debug: result.quote.debug, until: result.quote.notAfter }
    : undefined;

describe('tampered evidence', () => {
  it('a quote with one flipped bit never gets through with other content, and never crashes the verifier', () => {
    fc.assert(
      fc.property(fc.constantFrom(...quotes), fc.nat(), fc.nat(7), (quote, at, bit) => {
        const edited = quote.slice();
        const offset = at % edited.length;
        edited[offset] = (edited[offset] ?? 0) ^ (1 << bit);
        const result = verdict(edited, collateral);
        if (result?.ok !== true) return;
        // Only the white space and the final NUL of the PEM chain carry nothing.
        const chainAt = quote.length - result.quote.quote.certification.data.length;
        expect(offset).toBeGreaterThanOrEqual(chainAt);
        expect(' \t\r\n\0').toContain(String.fromCharCode(edited[offset] ?? 0xff));
        expect(
          equalBytes(result.quote.quote.signedBytes, quote.subarray(0, result.quote.quote.signedBytes.length)),
        ).toBe(true);
      }),
      { numRuns: 1500 },
    );
  });

  it('a cut or spliced quote is refused as a value', () => {
    fc.assert(
      fc.property(fc.constantFrom(...quotes), fc.nat(), fc.uint8Array({ maxLength: 64 }), (quote, at, splice) => {
        const start = at % quote.length;
        const cut = quote.subarray(0, start);
        expect(verdict(cut, collateral)?.ok ?? false).toBe(false);
        const edited = quote.slice();
        edited.set(splice.subarray(0, quote.length - start), start);
        const result = verdict(edited, collateral);
        if (result?.ok !== true) return;
        const { signedBytes, attestationKey, qeReportBytes } = result.quote.quote;
        expect(equalBytes(signedBytes, quote.subarray(0, signedBytes.length))).toBe(true);
        expect(equalBytes(attestationKey, platform.attestation.point)).toBe(true);
        expect(
          equalBytes(qeReportBytes, quote.subarray(qeReportBytes.byteOffset, qeReportBytes.byteOffset + 384)),
        ).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it('changed collateral is refused or says exactly the same', () => {
    const genuine = facts(verdict(quotes[0], collateral));
    expect(genuine).toBeDefined();
    const fields = Object.keys(collateral) as (keyof QuoteCollateralV3)[];
    fc.assert(
      fc.property(
        fc.constantFrom(...fields),
        fc.nat(),
        fc.string({ minLength: 1, maxLength: 2 }),
        (field, at, insert) => {
          const text = collateral[field] ?? '';
          const offset = at % text.length;
          const edited = text.slice(0, offset) + insert + text.slice(offset + insert.length);
          const result = verdict(quotes[0], { ...collateral, [field]: edited });
          if (result?.ok) expect(facts(result)).toEqual(genuine);
        },
      ),
      { numRuns: 1000 },
    );
  });
});
