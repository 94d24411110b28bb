import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toHex } from '../bytes.js';
import { TestPlatform } from '../testing/test-platform.js';
import { parseQuote } from './parse-quote.js';

const platform = new TestPlatform();
const v4 = platform.quote({ padding: 70 });
const v5 = platform.quote({ version: 5 });

/** Offsets of a version 4 quote. */
const AT = {
  version: 0,
  keyType: 2,
  tee: 4,
  vendor: 12,
  authLength: 632,
  outerType: 764,
  outerSize: 766,
  innerType: 1252,
  innerSize: 1254,
};

function edited(quote: Uint8Array, edit: (view: DataView) => void): Uint8Array {
  const copy = quote.slice();
  edit(new DataView(copy.buffer));
  return copy;
}

describe('parseQuote', () => {
  it('reads a version 4 TDX quote and leaves padding out', () => {
    const result = parseQuote(v4);
    if (!result.ok) throw new Error(result.failed.detail);
    expect(result.quote.header).toMatchObject({ version: 4, tee: 'TDX', attestationKeyType: 2 });
    expect(result.quote.bytes.length).toBe(v4.length - 70);
    expect(result.quote.signedBytes.length).toBe(632);
    expect(result.quote.report.kind).toBe('td10');
    expect(toHex(result.quote.report.reportData)).toBe('42'.repeat(64));
    expect(result.checks).toEqual([expect.objectContaining({ name: 'quote.format', outcome: 'pass' })]);
  });

  it('reads a version 5 quote with a TD report 1.5', () => {
    const result = parseQuote(v5);
    expect(result.ok && result.quote.report).toMatchObject({ kind: 'td15' });
    expect(result.ok && result.quote.signedBytes.length).toBe(702);
  });

  it('keeps its own copy of the bytes', () => {
    const input = v4.slice();
    const result = parseQuote(input);
    input.fill(0);
    expect(result.ok && toHex(result.quote.report.reportData)).toBe('42'.repeat(64));
  });

  it.each<[string, string, number, (view: DataView) => void]>([
    ['version 6', 'QUOTE_VERSION', 0, (view) => view.setUint16(AT.version, 6, true)],
    ['a P-384 key', 'QUOTE_KEY_TYPE', 2, (view) => view.setUint16(AT.keyType, 3, true)],
    ['an unknown TEE', 'QUOTE_TEE', 4, (view) => view.setUint32(AT.tee, 0x82, true)],
    ['TDX in version 3', 'QUOTE_TEE', 4, (view) => view.setUint16(AT.version, 3, true)],
    ['another vendor', 'QUOTE_VENDOR', 12, (view) => view.setUint8(AT.vendor, 0)],
    ['a huge auth length', 'QUOTE_TRUNCATED', 632, (view) => view.setUint32(AT.authLength, 0xffffffff, true)],
    ['outer type 5', 'QUOTE_FORMAT', 764, (view) => view.setUint16(AT.outerType, 5, true)],
    ['a huge outer size', 'QUOTE_TRUNCATED', 770, (view) => view.setUint32(AT.outerSize, 0x7fffffff, true)],
    ['inner type 0', 'QUOTE_FORMAT', 1252, (view) => view.setUint16(AT.innerType, 0, true)],
    ['inner type 6', 'QUOTE_FORMAT', 1252, (view) => view.setUint16(AT.innerType, 6, true)],
    [
      'an inner size one less',
      'QUOTE_FORMAT',
      -1,
      (view) => view.setUint32(AT.innerSize, view.getUint32(AT.innerSize, true) - 1, true),
    ],
    [
      'an inner size one more',
      'QUOTE_TRUNCATED',
      1258,
      (view) => view.setUint32(AT.innerSize, view.getUint32(AT.innerSize, true) + 1, true),
    ],
  ])('refuses %s with %s at the offset', (_what, code, offset, edit) => {
    const result = parseQuote(edited(v4, edit));
    expect(result).toMatchObject({ ok: false, code, failed: { name: 'quote.format', outcome: 'fail' } });
    if (offset >= 0) expect(!result.ok && result.offset).toBe(offset);
  });

  it.each([
    ['type 2 with the size of type 3', 2, 648],
    ['type 1 in a TDX quote', 1, 384],
    ['an unknown type', 4, 648],
  ])('refuses a version 5 body descriptor of %s', (_what, type, sizeBytes) => {
    const quote = edited(v5, (view) => {
      view.setUint16(48, type, true);
      view.setUint32(50, sizeBytes, true);
    });
    expect(parseQuote(quote).ok).toBe(false);
  });

  it('refuses every truncation below the declared end', () => {
    const declared = v4.length - 70;
    for (let length = 0; length < declared; length++) {
      if (parseQuote(v4.subarray(0, length)).ok) throw new Error(`accepted ${length} of ${declared} bytes`);
    }
  });

  it('answers any bytes with a value, never an exception', () => {
    const header = fc.constant(v4.subarray(0, 48));
    const tail = fc.uint8Array({ minLength: 0, maxLength: 2048 });
    fc.assert(
      fc.property(fc.tuple(header, tail), ([start, rest]) => {
        expect(parseQuote(new Uint8Array([...start, ...rest]))).toHaveProperty('ok');
      }),
      { numRuns: 300 },
    );
  });
});
