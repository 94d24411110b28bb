import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { deriveAppKeys } from './app-keys.js';
import { RootKeys } from './root-keys.js';
import { combineRootShares, type RootShare, readRootShare, splitRoots } from './root-shares.js';

const hex = (value: Uint8Array): string => Buffer.from(value).toString('hex');
const now = new Date('2026-05-01T12:00:00.000Z');
const roots = [RootKeys.generate(1), RootKeys.generate(0)];
const split = (threshold: number, count: number) =>
  splitRoots(
    roots.map((keys) => ({ keys, rootCaCert: `cert of ${keys.keyEpoch}` })),
    { threshold, count, domain: 'kms.example', now },
  );
const reread = (share: RootShare): RootShare => readRootShare(JSON.stringify(share));

/** GF(2^8) with the AES polynomial, by the book: a second opinion on what the package interpolates. */
function multiply(a: number, b: number): number {
  let product = 0;
  for (let bit = 0; bit < 8; bit += 1) {
    if ((b >> bit) & 1) product ^= a << bit;
  }
  for (let bit = 15; bit >= 8; bit -= 1) {
    if ((product >> bit) & 1) product ^= 0x11b << (bit - 8);
  }
  return product;
}
function inverse(a: number): number {
  for (let b = 1; b < 256; b += 1) if (multiply(a, b) === 1) return b;
  throw new RangeError('zero has no inverse');
}
function interpolateAtZero(shares: readonly Uint8Array[]): Uint8Array {
  const length = (shares[0]?.length ?? 1) - 1;
  const xs = shares.map((share) => share[length] ?? 0);
  return Uint8Array.from({ length }, (_, at) =>
    shares.reduce((sum, share, i) => {
      const basis = xs.reduce(
        (product, x, j) => (j === i ? product : multiply(product, multiply(x, inverse(x ^ (xs[i] ?? 0))))),
        1,
      );
      return sum ^ multiply(share[at] ?? 0, basis);
    }, 0),
  );
}

describe('shares of root keys', () => {
  it('restore the same roots from any k of n, after a trip through text', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 2, max: 6 }).chain((k) => fc.tuple(fc.constant(k), fc.integer({ min: k, max: 8 }))),
        fc.infiniteStream(fc.nat()),
        async ([threshold, count], random) => {
          const shares = (await split(threshold, count)).map(reread);
          const shuffled = shares
            .map((share) => ({ share, at: random.next().value }))
            .sort((a, b) => a.at - b.at)
            .map(({ share }) => share);
          const restored = await combineRootShares(shuffled.slice(0, threshold));
          expect(restored.set.roots.map(({ keyEpoch }) => keyEpoch)).toEqual([0, 1]);
          const ids = [new Uint8Array(20).fill(1), new Uint8Array(20).fill(2)] as const;
          for (const original of roots) {
            const again = restored.roots.find(({ keyEpoch }) => keyEpoch === original.keyEpoch);
            if (again === undefined) throw new Error('an epoch is missing');
            expect(deriveAppKeys(again, ...ids)).toEqual(deriveAppKeys(original, ...ids));
          }
        },
      ),
      { numRuns: 25 },
    );
  });

  it('are points of a polynomial over GF(2^8) with the AES polynomial, x last', async () => {
    expect(multiply(0x57, 0x83)).toBe(0xc1);
    const shares = (await split(3, 5)).slice(1, 4).map(({ share }) => Uint8Array.from(Buffer.from(share, 'base64')));
    const secret = interpolateAtZero(shares);
    expect(hex(secret.subarray(0, 32))).toBe(roots[1]?.useCaScalar(hex));
    expect(hex(secret.subarray(96, 128))).toBe(roots[0]?.useK256Scalar(hex));
  });

  it('are of no use below the threshold', async () => {
    const shares = await split(3, 5);
    await expect(combineRootShares(shares.slice(0, 2))).rejects.toMatchObject({ code: 'too-few-shares' });
    const [one] = shares;
    if (one === undefined) throw new Error('no share');
    await expect(combineRootShares([one, one, one])).rejects.toMatchObject({ code: 'too-few-shares' });
    await expect(combineRootShares([])).rejects.toMatchObject({ code: 'too-few-shares' });
    const points = shares.slice(0, 2).map(({ share }) => Uint8Array.from(Buffer.from(share, 'base64')));
    expect(hex(interpolateAtZero(points)).slice(0, 64)).not.toBe(roots[1]?.useCaScalar(hex));
  });

  it('of two backups are not mixed, and a changed one is named', async () => {
    const [first] = await split(2, 3);
    const [, second] = await split(2, 3);
    const [, , third] = await split(2, 3);
    if (first === undefined || second === undefined || third === undefined) throw new Error('no share');
    await expect(combineRootShares([first, second])).rejects.toMatchObject({ code: 'shares-differ' });
    const bytes = Buffer.from(third.share, 'base64');
    bytes[3] = (bytes[3] ?? 0) ^ 1;
    const changed = { ...third, share: bytes.toString('base64') };
    expect(() => readRootShare(JSON.stringify(changed))).toThrow(/share 3: its checksum/);
    const others = (await split(2, 3)).slice(0, 2);
    const [own, forged] = others;
    if (own === undefined || forged === undefined) throw new Error('no share');
    await expect(combineRootShares([own, { ...forged, share: own.share }])).rejects.toMatchObject({
      code: 'share-damaged',
      message: 'share 2 is not the one that was made',
    });
  });

  it('are refused when they are cut, of another kind, or ask for a threshold of one', async () => {
    const [share] = await split(2, 2);
    const text = JSON.stringify(share);
    expect(() => readRootShare(text.slice(0, -3))).toThrow(/not JSON/);
    for (const other of ['null', '{}', '[]', '7', JSON.stringify({ ...share, index: 9 })]) {
      expect(() => readRootShare(other)).toThrow(/not a share/);
    }
    await expect(split(1, 3)).rejects.toThrow(RangeError);
    await expect(split(4, 3)).rejects.toThrow(RangeError);
    await expect(split(2, 256)).rejects.toThrow(RangeError);
  });

  it('hold nothing secret outside the share itself', async () => {
    const [share] = await split(2, 2);
    const open = JSON.stringify({ ...share, share: '' });
    for (const root of roots) {
      expect(open).not.toContain(root.useCaScalar(hex));
      expect(open).not.toContain(root.useK256Scalar(hex));
    }
  });
});
