import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concatBytes, toHex } from '../bytes.js';
import { Refusal } from '../refusal.js';
import { hex } from '../testing/sample-attestation.js';
import { guidEntry, SAMPLE_SECTIONS, sampleFirmware, section } from '../testing/sample-image.js';
import { guidBytes } from './guid.js';
import { tdvfMrtd } from './mrtd.js';
import { tdHobDigest, tdHobLayout, tdHobList } from './td-hob.js';
import { readTdHobWitness, writeTdHobWitness } from './td-hob-witness.js';
import { parseTdvf, readTdvf, type TdvfSection } from './tdvf.js';

const GIB = 2 ** 30;
/** R19. */
const WITNESS = hex('80100904000609020b021010');

describe('GUIDs', () => {
  it('are stored mixed-endian', () => {
    expect(toHex(guidBytes('8be4df61-93ca-11d2-aa0d-00e098032b8c'))).toBe('61dfe48bca93d211aa0d00e098032b8c');
    expect(() => guidBytes('8be4df61-93ca-11d2-aa0d')).toThrow(RangeError);
  });
});

describe('TDVF metadata', () => {
  it('is found behind other entries and read in table order', () => {
    expect(parseTdvf(sampleFirmware())).toMatchObject({ ok: true, value: { sections: SAMPLE_SECTIONS } });
  });

  const one = (fields: Partial<TdvfSection>): Uint8Array => sampleFirmware([section(fields)]);
  it.each<readonly [string, Uint8Array]>([
    ['nothing', new Uint8Array()],
    ['49 bytes', new Uint8Array(49)],
    ['no table', new Uint8Array(4096)],
    ['a table longer than the firmware', sampleFirmware(undefined, { tableError: 0x7000 })],
    ['no metadata entry', sampleFirmware(undefined, { guid: new Uint8Array(16).fill(2) })],
    [
      'an entry of length 0',
      sampleFirmware(undefined, { walkedBefore: guidEntry(new Uint8Array(4), new Uint8Array(16), -22) }),
    ],
    [
      'an entry shorter than its header',
      sampleFirmware(undefined, { walkedBefore: guidEntry(new Uint8Array(0), new Uint8Array(16), -1) }),
    ],
    [
      'an entry longer than the table',
      sampleFirmware(undefined, { walkedBefore: guidEntry(new Uint8Array(4), new Uint8Array(16), 4000) }),
    ],
    ['an offset outside the firmware', sampleFirmware(undefined, { fromEnd: 0xffffffff })],
    ['an offset of 0', sampleFirmware(undefined, { fromEnd: 0 })],
    ['another signature', sampleFirmware(undefined, { signature: 'TDVG' })],
    ['another version', sampleFirmware(undefined, { version: 2 })],
    ['no sections', sampleFirmware([], {})],
    ['65 sections', sampleFirmware(Array.from({ length: 65 }, () => section({})))],
    ['2^32 - 1 sections', sampleFirmware(undefined, { count: 0xffffffff })],
    ['more sections than there are bytes', sampleFirmware(undefined, { count: 60 })],
    ['an address inside a page', one({ memoryAddress: 0x1001 })],
    ['a size inside a page', one({ memorySize: 0x1001 })],
    ['less memory than data', one({ rawSize: 0x1001, memorySize: 0x1000 })],
    ['data outside the firmware', one({ dataOffset: 0x10000, rawSize: 0x1000, memorySize: 0x1000 })],
    ['measured memory outside the firmware', one({ memorySize: 0x1000000, attributes: 1 })],
    ['1 TiB to measure', one({ memorySize: 2 ** 40 })],
    ['an address beyond 2^46', one({ memoryAddress: 2 ** 47 })],
    ['more than 64 MiB', new Uint8Array(64 * 2 ** 20 + 1)],
  ])('refuses %s', (_name, firmware) => {
    expect(parseTdvf(firmware)).toMatchObject({ ok: false, code: 'TDVF_FORMAT', failed: { name: 'tdvf.format' } });
  });

  it('damaged firmware never throws', () => {
    const firmware = sampleFirmware();
    fc.assert(
      fc.property(fc.nat(450), fc.nat(255), fc.nat(), (fromEnd, value, cut) => {
        const edited = firmware.slice();
        edited[firmware.length - 1 - fromEnd] = value;
        const result = parseTdvf(edited);
        if (!result.ok) expect(result.code).toBe('TDVF_FORMAT');
        parseTdvf(edited.subarray(cut % edited.length));
      }),
      { numRuns: 2000 },
    );
  });
});

describe('MRTD', () => {
  const record = (name: string, address: number): Uint8Array => {
    const bytes = Buffer.alloc(128);
    bytes.write(name, 'latin1');
    bytes.writeBigUInt64LE(BigInt(address), 16);
    return bytes;
  };
  const firmware = sampleFirmware();
  const extend = (address: number, offset: number): readonly Uint8Array[] =>
    Array.from({ length: 16 }, (_, chunk) => [
      record('MR.EXTEND', address + chunk * 256),
      firmware.subarray(offset + chunk * 256, offset + chunk * 256 + 256),
    ]).flat();
  const unextended = [
    0xffffd000,
    ...Array.from({ length: 16 }, (_, page) => 0x810000 + page * 4096),
    0x80b000,
    0x80c000,
    0x809000,
    0x80a000,
    ...Array.from({ length: 6 }, (_, page) => 0x800000 + page * 4096),
  ].map((address) => record('MEM.PAGE.ADD', address));
  const digest = (parts: readonly Uint8Array[]): string =>
    createHash('sha384')
      .update(concatBytes(...parts))
      .digest('hex');

  it('two passes: all pages of a section are added, then extended', () => {
    const add = [record('MEM.PAGE.ADD', 0xffffe000), record('MEM.PAGE.ADD', 0xfffff000)];
    const expected = digest([...add, ...extend(0xffffe000, 0x1000), ...extend(0xfffff000, 0x2000), ...unextended]);
    expect(toHex(tdvfMrtd(readTdvf(firmware), 'two-pass'))).toBe(expected);
  });

  it('a single pass: page by page', () => {
    const expected = digest([
      record('MEM.PAGE.ADD', 0xffffe000),
      ...extend(0xffffe000, 0x1000),
      record('MEM.PAGE.ADD', 0xfffff000),
      ...extend(0xfffff000, 0x2000),
      ...unextended,
    ]);
    expect(toHex(tdvfMrtd(readTdvf(firmware), 'single-pass'))).toBe(expected);
  });

  it('pages that are added later (PAGE_AUG) are not measured at all', () => {
    const augmented = [...SAMPLE_SECTIONS, section({ memoryAddress: 0x100000, memorySize: 0x1000, attributes: 2 })];
    const tdvf = (sections: readonly TdvfSection[]) => ({ firmware, sections });
    expect(tdvfMrtd(tdvf(augmented), 'two-pass')).toEqual(tdvfMrtd(tdvf(SAMPLE_SECTIONS), 'two-pass'));
    const added = augmented.map((entry) => ({ ...entry, attributes: entry.attributes & 1 }));
    expect(tdvfMrtd(tdvf(added), 'two-pass')).not.toEqual(tdvfMrtd(tdvf(SAMPLE_SECTIONS), 'two-pass'));
  });

  it('a changed byte of measured data changes it, one of the configuration volume does not', () => {
    const original = tdvfMrtd(readTdvf(firmware), 'two-pass');
    expect(tdvfMrtd(readTdvf(firmware.with(0x1fff, 1)), 'two-pass')).not.toEqual(original);
    expect(tdvfMrtd(readTdvf(firmware.with(0x0fff, 99)), 'two-pass')).toEqual(original);
  });
});

describe('TD HOB', () => {
  const layout = readTdHobWitness(WITNESS);

  it('R19: witness of the sections, read and written', () => {
    expect(toHex(writeTdHobWitness(tdHobLayout({ firmware: new Uint8Array(), sections: SAMPLE_SECTIONS })))).toBe(
      toHex(WITNESS),
    );
    expect(writeTdHobWitness(layout)).toEqual(WITNESS);
    expect(layout.hobAddress).toBe(0x809000);
  });

  it.each<readonly [number, string]>([
    [1, '1055c9b9a1fc534e688560e2304e18c8597b7261818cf61fb163d40c130547309b750575947a4dcaedbdce4b8d0535f2'],
    [2, '0b8772e5b0b41b83e6044a68397e02f49fb47066b4fbe4917ea2c45c64f323fdacbb37948f821ebaf8bc9c938ba8a749'],
    [3, '798f84285da30f6c295fbb73e3c093cf13164b6ad9d547a123b8d4d305f87a027caaba88e4cfd684ed7b424f37811a2e'],
    [4, '5b684faf8d02a733945f821d9cdd170802e72103977acf66949c9382500283adc90cbec57f8e7653f8bee1cab83689de'],
    [8, '2e070cda358b5aa00f27cca25c47381bb564f4be3a84d059805a73cbbde764ed8341f7e09915b5e7b370f9c08a743fbd'],
    [16, 'cd2312a0d87ef3c4a928df87088969a80b33d7bf3fc584bdde637b09ed808a8d821a56b78a13a6eb506db7578444abbe'],
    [64, '8ae1e425351df7992c444586eff99d35af3b779aa2b0e981cb4b73bc5b279f2ade19b6a62a203fc3c3bbdaae80af596d'],
  ])('%i GiB, as printed', (gib, digest) => {
    expect(toHex(tdHobDigest(layout, gib * GIB))).toBe(digest);
    expect(toHex(tdHobDigest(layout, gib * GIB + 4096))).not.toBe(digest);
    expect(toHex(tdHobDigest({ ...layout, hobAddress: 0x80a000 }, gib * GIB))).not.toBe(digest);
  });

  it('the list of 2 GiB has 440 bytes; memory is split from 2.75 GiB on', () => {
    expect(tdHobList(layout, 2 * GIB)).toHaveLength(440);
    expect(tdHobList(layout, 0xb0000000 - 4096)).toHaveLength(440);
    expect(tdHobList(layout, 0xb0000000)).toHaveLength(488);
  });

  it('refuses memory that does not hold the ranges, or is no whole page', () => {
    for (const memory of [0, 4096, 0x820000, 2 * GIB + 1]) expect(() => tdHobDigest(layout, memory)).toThrow(Refusal);
    expect(() => tdHobDigest(layout, 0x821000)).not.toThrow();
  });

  it.each<readonly [string, readonly TdvfSection[]]>([
    ['no TD_HOB', [section({ type: 3, memorySize: 4096 })]],
    ['two', [section({ type: 2, memorySize: 4096 }), section({ type: 2, memoryAddress: 4096, memorySize: 4096 })]],
    ['an empty range', [section({ type: 2 })]],
    [
      'overlapping ranges',
      [section({ type: 2, memorySize: 8192 }), section({ type: 3, memoryAddress: 4096, memorySize: 4096 })],
    ],
  ])('refuses sections with %s', (_name, sections) => {
    expect(() => tdHobLayout({ firmware: new Uint8Array(), sections })).toThrow(Refusal);
  });

  it.each([
    ['nothing', ''],
    ['a cut one', '801009040006'],
    ['trailing bytes', '80100904000609020b02101000'],
    ['no ranges', '80100900'],
    ['65 ranges', '80100941'],
    ['a form that is not minimal', '80108900040006'],
    ['an overlap', '8010090200060502'],
    ['an empty range', '801009010000'],
    ['another base than the first range', '801009010206'],
    ['a page beyond 2^34', 'ffffffffff0100'],
  ])('refuses a witness with %s', (_name, text) => {
    expect(() => readTdHobWitness(hex(text))).toThrow(Refusal);
  });

  it('any witness that is read is written again as it was', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        try {
          expect(writeTdHobWitness(readTdHobWitness(bytes))).toEqual(bytes);
        } catch (error) {
          expect(error).toSatisfy((thrown) => thrown instanceof Refusal || thrown instanceof RangeError);
        }
      }),
      { numRuns: 3000 },
    );
  });
});
