import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../bytes.js';
import { Refusal } from '../refusal.js';
import { integer } from '../testing/der-writer.js';
import { certify, newIdentity, revoke } from '../testing/test-pki.js';
import { parseCertificate } from './certificate.js';
import { DER, DerReader } from './der-reader.js';
import { parseRevocationList } from './revocation-list.js';

const reader = (hex: string): DerReader => new DerReader(fromHex(hex) ?? new Uint8Array());
const refusal = expect.objectContaining({ code: 'DER_FORMAT' });

describe('DerReader', () => {
  it('reads integers, booleans, times and nested sequences', () => {
    expect(reader('020200ff').smallInteger('n', 255)).toBe(255);
    expect(reader('02017f').integerHex('n')).toBe('7f');
    expect(reader('0101ff').boolean('b')).toBe(true);
    expect(reader(`170d${Buffer.from('491231235959Z').toString('hex')}`).time('t')).toEqual(
      new Date('2049-12-31T23:59:59Z'),
    );
    expect(reader(`170d${Buffer.from('500101000000Z').toString('hex')}`).time('t')).toEqual(
      new Date('1950-01-01T00:00:00Z'),
    );
    expect(toHex(reader('3003020105').enter(DER.sequence, 's').next(DER.integer, 'n').encoded)).toBe('020105');
  });

  it.each([
    ['a length beyond the end', '3005020105'],
    ['an indefinite length', '30800000'],
    ['a long form for a short length', '3081020101'],
    ['a length with leading zero', `308200ff${'00'.repeat(255)}`],
    ['a length of four bytes', '3084000000020101'],
    ['a multi-byte tag', '1f810102'],
    ['nothing', ''],
  ])('refuses %s', (_what, hex) => {
    expect(() => reader(hex).any('x')).toThrow(refusal);
  });

  it.each([
    ['a padded integer', '02020001'],
    ['a negative integer', '0201ff'],
    ['an empty integer', '0200'],
    ['a big integer', '02050100000000'],
  ])('refuses %s', (_what, hex) => {
    expect(() => reader(hex).smallInteger('n', 0xffffffff)).toThrow(refusal);
  });

  it('refuses other booleans, impossible dates and trailing bytes', () => {
    expect(() => reader('010101').boolean('b')).toThrow(refusal);
    expect(() => reader(`170d${Buffer.from('260231000000Z').toString('hex')}`).time('t')).toThrow(refusal);
    expect(() => reader('00').expectEnd('x')).toThrow(refusal);
    expect(() => reader('0301ff').bits('x')).toThrow(refusal);
  });

  it('round-trips integers', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0x7fffffff }), (value) => {
        expect(new DerReader(integer(value)).smallInteger('n', 0x7fffffff)).toBe(value);
      }),
    );
  });
});

describe('certificates and CRLs from outside', () => {
  const root = newIdentity('Test SGX Root CA', 0x80);
  const certificate = certify(root, root, { isCa: true, pathLength: 1 });
  const list = revoke(root, [7, 0x80], new Date('2026-01-01T00:00:00Z'), new Date('2026-02-01T00:00:00Z'));

  it('reads what was written', () => {
    expect(parseCertificate(certificate)).toMatchObject({
      serial: '80',
      commonName: 'Test SGX Root CA',
      isCa: true,
      pathLength: 1,
    });
    const { revoked } = parseRevocationList(list);
    expect([revoked.size, revoked.has('07'), revoked.has('80'), revoked.has('0080'), revoked.has('08')]).toEqual([
      ...[2, true, true, false, false],
    ]);
  });

  it('refuses trailing bytes', () => {
    expect(() => parseCertificate(new Uint8Array([...certificate, 0]))).toThrow(refusal);
    expect(() => parseRevocationList(new Uint8Array([...list, 0]))).toThrow(refusal);
  });

  it('throws nothing but refusals on damaged bytes', () => {
    const parsers = [
      [certificate, parseCertificate],
      [list, parseRevocationList],
    ] as const;
    fc.assert(
      fc.property(fc.constantFrom(...parsers), fc.nat(), fc.nat(255), ([bytes, parse], at, value) => {
        const edited = bytes.slice();
        edited[at % edited.length] = value;
        for (const input of [edited, bytes.subarray(0, at % bytes.length)]) {
          try {
            parse(input);
          } catch (error) {
            expect(error).toBeInstanceOf(Refusal);
          }
        }
      }),
      { numRuns: 1000 },
    );
  });
});
