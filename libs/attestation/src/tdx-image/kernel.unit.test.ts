import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toHex } from '../bytes.js';
import { Refusal } from '../refusal.js';
import { SAMPLE_KERNEL, sampleKernel } from '../testing/sample-image.js';
import { authenticode } from './authenticode.js';
import { patchKernel, usesCommonKernel } from './kernel-patch.js';

const GIB = 2 ** 30;
const kernel = sampleKernel();
const word = (file: Uint8Array, at: number): number => Buffer.from(file).readUInt32LE(at);
const withWord = (file: Uint8Array, at: number, value: number, sizeBytes = 4): Uint8Array => {
  const edited = Buffer.from(file);
  edited.writeUIntLE(value, at, sizeBytes);
  return new Uint8Array(edited);
};

describe('QEMU header patch', () => {
  it('writes loader, heap, command line and initrd, and nothing else', () => {
    const patched = patchKernel(kernel, 0x123456, 2 * GIB);
    expect(patched[0x210]).toBe(0xb0);
    expect(patched[0x211]).toBe(0x81);
    expect(word(patched, 0x224) & 0xffff).toBe(0xfe00);
    expect(word(patched, 0x228)).toBe(0x20000);
    expect(word(patched, 0x218)).toBe((0x80000000 - 0x28000 - 1 - 0x123456) & ~4095);
    expect(word(patched, 0x21c)).toBe(0x123456);
    const touched = [0x210, 0x211, 0x224, 0x225];
    for (let at = 0; at < kernel.length; at++) {
      const inPatch = touched.includes(at) || (at >= 0x218 && at < 0x220) || (at >= 0x228 && at < 0x22c);
      if (!inPatch) expect(patched[at]).toBe(kernel[at]);
    }
  });

  it('the initrd address moves with memory, but not from 2.75 GiB on, where it is that of 2 GiB', () => {
    const address = (memory: number): number => word(patchKernel(kernel, 0x100000, memory), 0x218);
    expect(address(2 * GIB - 4096)).not.toBe(address(2 * GIB));
    expect(address(0xb0000000 - 4096)).not.toBe(address(0xb0000000));
    expect(new Set([2 * GIB, 0xb0000000, 4 * GIB, 512 * GIB].map(address)).size).toBe(1);
    expect([GIB, 2 * GIB - 4096, 2 * GIB, 2.5 * GIB, 0xb0000000, 64 * GIB].map(usesCommonKernel)).toEqual([
      false,
      false,
      true,
      false,
      true,
      true,
    ]);
  });

  it('a kernel that may not be loaded above 4 GiB keeps its own limit', () => {
    const limited = withWord(withWord(kernel, 0x236, 0, 2), 0x22c, 0x37ffffff);
    expect(word(patchKernel(limited, 4096, 2 * GIB), 0x218)).toBe((0x37ffffff - 4096) & ~4095);
  });

  it('leaves the initrd fields alone without an initrd', () => {
    expect(word(patchKernel(kernel, 0, 2 * GIB), 0x21c)).toBe(word(kernel, 0x21c));
  });

  it.each<readonly [string, () => unknown]>([
    ['a short file', () => patchKernel(kernel.subarray(0, 0xfff), 1, GIB)],
    ['no setup header', () => patchKernel(kernel.with(0x202, 0), 1, GIB)],
    ['an old protocol', () => patchKernel(withWord(kernel, 0x206, 0x202, 2), 1, GIB)],
    ['a kernel that is loaded low', () => patchKernel(kernel.with(0x211, 0), 1, GIB)],
    ['an initrd larger than memory', () => patchKernel(kernel, GIB, GIB)],
    ['hardly any memory', () => patchKernel(kernel, 1, 0x1000)],
  ])('refuses %s', (_name, run) => {
    expect(run).toThrow(Refusal);
  });
});

describe('Authenticode', () => {
  const { optional, headersSize, sectionTable } = SAMPLE_KERNEL;
  const expected = (file: Uint8Array, ...parts: readonly (readonly [number, number])[]): string => {
    const hash = createHash('sha384');
    hash.update(file.subarray(0, optional + 64)).update(file.subarray(optional + 68, optional + 144));
    hash.update(file.subarray(optional + 152, headersSize));
    for (const [start, end] of parts) hash.update(file.subarray(start, end));
    return hash.update(new Uint8Array((8 - (file.length % 8)) % 8)).digest('hex');
  };

  it('hashes headers without checksum and certificate entry, then sections by file offset', () => {
    expect(toHex(authenticode(kernel))).toBe(expected(kernel, [0x1000, 0x2000], [0x2000, 0x2800]));
    expect(authenticode(withWord(kernel, optional + 64, 7))).toEqual(authenticode(kernel));
    expect(authenticode(kernel.with(0x1800, 1))).not.toEqual(authenticode(kernel));
    expect(authenticode(kernel, 'sha256')).toHaveLength(32);
  });

  it('hashes what follows the sections, pads to 8 bytes, and leaves certificates out', () => {
    const trailing = sampleKernel({ trailing: 13 });
    expect(toHex(authenticode(trailing))).toBe(expected(trailing, [0x1000, 0x2800], [0x2800, 0x280d]));
    const signed = sampleKernel({ trailing: 8, certificates: 64 });
    expect(toHex(authenticode(signed))).toBe(expected(signed, [0x1000, 0x2808]));
    expect(authenticode(signed.with(signed.length - 1, 1))).toEqual(authenticode(signed));
    expect(authenticode(signed.with(0x2800, 1))).not.toEqual(authenticode(signed));
  });

  it.each<readonly [string, Uint8Array]>([
    ['nothing', new Uint8Array()],
    ['a header offset outside', withWord(kernel, 0x3c, 0xfffffff0)],
    ['no PE signature', withWord(kernel, 0x40, 0)],
    ['another magic', withWord(kernel, optional, 0x30b, 2)],
    ['no certificate entry', withWord(kernel, optional + 108, 4)],
    ['headers of 0 bytes', withWord(kernel, optional + 60, 0)],
    ['headers larger than the file', withWord(kernel, optional + 60, 0xfffffff0)],
    ['a section outside the file', withWord(kernel, sectionTable + 20, 0x2001)],
    [
      'sections that overlap beyond the file size',
      withWord(withWord(kernel, sectionTable + 16, 0x2000), sectionTable + 20, 0x800),
    ],
    ['certificates larger than the file', withWord(kernel, optional + 148, 0xffffffff)],
    ['a section table outside the file', withWord(withWord(kernel, 0x46, 0xffff, 2), 0x54, 0xffff, 2)],
  ])('refuses %s', (_name, file) => {
    expect(() => authenticode(file)).toThrow(Refusal);
  });

  it('damaged files throw nothing but refusals', () => {
    fc.assert(
      fc.property(fc.nat(0x1ff), fc.nat(255), fc.nat(kernel.length), (at, value, cut) => {
        for (const file of [kernel.with(at, value), kernel.subarray(0, cut)]) {
          try {
            authenticode(file);
            patchKernel(file, 4096, GIB);
          } catch (error) {
            expect(error).toBeInstanceOf(Refusal);
          }
        }
      }),
      { numRuns: 1500 },
    );
  });
});
