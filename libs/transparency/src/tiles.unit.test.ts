import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { leafHash, nodeHash } from './hash.js';
import { decodeTile, encodeEntries, encodeTile, entriesPath, parseTilePath, tileFits, tilePath } from './tiles.js';

describe('tile paths', () => {
  it('are those of the C2SP document', () => {
    expect(tilePath({ level: 0, index: 1234067, width: 256 })).toBe('tile/0/x001/x234/067');
    expect(tilePath({ level: 1, index: 0, width: 8 })).toBe('tile/1/000.p/8');
    expect(entriesPath({ index: 999, width: 256 })).toBe('tile/entries/999');
    expect(entriesPath({ index: 1000, width: 1 })).toBe('tile/entries/x001/000.p/1');
  });

  it('come back as they went out', () => {
    const tile = fc.record({ level: fc.nat(5), index: fc.nat(2 ** 40), width: fc.integer({ min: 1, max: 256 }) });
    fc.assert(
      fc.property(tile, (one) => {
        expect(parseTilePath(tilePath(one).slice('tile/'.length))).toEqual(one);
        const { index, width } = one;
        expect(parseTilePath(entriesPath(one).slice('tile/'.length))).toEqual({ level: 'entries', index, width });
      }),
    );
  });

  it('have one form each: everything else is refused', () => {
    const bad = ['', '0', '0/1', '0/0001', '6/000', '00/000', '0/x000/000', '0/x1/000', '0/000.p/256', '0/000.p/0'];
    for (const path of [...bad, '0/000.p/01', '0/../000', 'entries', 'entry/000', '0/000/', '-1/000', '0/000.p/8 ']) {
      expect(parseTilePath(path), path).toBeUndefined();
    }
    fc.assert(fc.property(fc.string(), (path) => parseTilePath(path) === undefined || /^[0-9e]/.test(path)));
  });
});

describe('tiles', () => {
  const leaves = Array.from({ length: 256 }, (_, index) => leafHash(Buffer.from(`event ${index}`)));

  it('hold the hashes in order; a full tile gives one hash of the level above', () => {
    const hashes = decodeTile(encodeTile(leaves), 256);
    expect(hashes).toHaveLength(256);
    let level = hashes;
    while (level.length > 1) {
      level = Array.from({ length: level.length / 2 }, (_, at) =>
        nodeHash(level[2 * at] as Uint8Array, level[2 * at + 1] as Uint8Array),
      );
    }
    expect(level[0]).toHaveLength(32);
    expect(() => decodeTile(encodeTile(leaves), 255)).toThrow(expect.objectContaining({ code: 'tile-malformed' }));
  });

  it('exist as far as the tree reaches', () => {
    expect(tileFits({ level: 0, index: 0, width: 3 }, 3)).toBe(true);
    expect(tileFits({ level: 0, index: 0, width: 4 }, 3)).toBe(false);
    expect(tileFits({ level: 1, index: 0, width: 1 }, 255)).toBe(false);
    expect(tileFits({ level: 1, index: 0, width: 1 }, 256)).toBe(true);
    expect(tileFits({ level: 0, index: 1, width: 256 }, 511)).toBe(false);
  });

  it('entries stand after their 16-bit length; larger ones are refused', () => {
    expect([...encodeEntries([Uint8Array.of(7, 8), new Uint8Array()])]).toEqual([0, 2, 7, 8, 0, 0]);
    expect(() => encodeEntries([new Uint8Array(65_536)])).toThrow(expect.objectContaining({ code: 'tile-malformed' }));
  });
});
