import type { Hash } from './hash.js';
import { HASH_BYTES } from './hash.js';
import type { NodeId } from './node-id.js';
import { TransparencyError } from './transparency-error.js';

/**
 * The C2SP tlog-tiles layout: hashes in tiles of up to 256, each tile level eight tree levels above the one below, at
 * stable paths that any tlog client can fetch and any web server can cache.
 */
export const TILE_WIDTH = 256;
const TILE_HEIGHT = 8;
/** Tree heights above this would need more than 2^53 leaves. */
const MAX_TILE_LEVEL = 5;
const PATH_GROUP = 1_000;

/** One tile: hashes `index * 256` to `index * 256 + width - 1` of tree level `8 * level`. */
export interface TileId {
  readonly level: number;
  readonly index: number;
  /** 1 to 256; less than 256 for a partial tile at the right edge. */
  readonly width: number;
}

/** Path of a hash tile below the log's prefix: `tile/<L>/<N>[.p/<W>]`, N in groups of three digits. */
export function tilePath({ level, index, width }: TileId): string {
  return `tile/${level}/${groups(index)}${suffix(width)}`;
}

/** Path of an entry bundle: `tile/entries/<N>[.p/<W>]`. */
export function entriesPath({ index, width }: Omit<TileId, 'level'>): string {
  return `tile/entries/${groups(index)}${suffix(width)}`;
}

/** Reads what follows `tile/`. Undefined for anything but the one form of a path. */
export function parseTilePath(
  path: string,
): (Omit<TileId, 'level'> & { readonly level: number | 'entries' }) | undefined {
  const parts = /^([0-9]|entries)\/((?:x\d{3}\/)*\d{3})(?:\.p\/(\d{1,3}))?$/.exec(path);
  if (parts === null) return undefined;
  const [, levelText, number = '', widthText] = parts;
  const index = Number(number.replaceAll(/[x/]/g, ''));
  const width = widthText === undefined ? TILE_WIDTH : Number(widthText);
  const level = levelText === 'entries' ? ('entries' as const) : Number(levelText);
  if (level !== 'entries' && level > MAX_TILE_LEVEL) return undefined;
  if (!Number.isSafeInteger(index * TILE_WIDTH) || width < 1 || width > TILE_WIDTH) return undefined;
  const tile = { level, index, width };
  const canonical = level === 'entries' ? entriesPath(tile) : tilePath({ ...tile, level });
  return canonical === `tile/${path}` ? tile : undefined;
}

/** The stored nodes a tile is made of, left to right. */
export function nodesOfTile({ level, index, width }: TileId): NodeId[] {
  return Array.from({ length: width }, (_, at) => ({ level: level * TILE_HEIGHT, index: index * TILE_WIDTH + at }));
}

/** Whether a tree of `size` leaves has every hash of the tile. */
export function tileFits({ level, index, width }: TileId, size: number): boolean {
  return (index * TILE_WIDTH + width) * 2 ** (level * TILE_HEIGHT) <= size;
}

/** Bytes of a tile: its hashes one after the other. */
export function encodeTile(hashes: readonly Hash[]): Uint8Array {
  return Buffer.concat(hashes);
}

/** The hashes of a tile of the given width. Throws `tile-malformed` for any other length. */
export function decodeTile(bytes: Uint8Array, width: number): Hash[] {
  if (bytes.length !== width * HASH_BYTES) {
    throw new TransparencyError(
      'tile-malformed',
      `a tile of ${width} has ${width * HASH_BYTES} bytes, not ${bytes.length}`,
    );
  }
  return Array.from({ length: width }, (_, at) => bytes.slice(at * HASH_BYTES, (at + 1) * HASH_BYTES));
}

/** Largest entry a bundle can hold: its length is a 16-bit number. */
export const MAX_BUNDLE_ENTRY_BYTES = 0xffff;

/** An entry bundle: each entry after its length as a big-endian 16-bit number. Throws `tile-malformed` for a larger one. */
export function encodeEntries(entries: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(
    entries.flatMap((entry) => {
      if (entry.length > MAX_BUNDLE_ENTRY_BYTES) {
        throw new TransparencyError('tile-malformed', `an entry of ${entry.length} bytes does not fit a bundle`);
      }
      const length = Buffer.alloc(2);
      length.writeUInt16BE(entry.length);
      return [length, entry];
    }),
  );
}

function suffix(width: number): string {
  return width === TILE_WIDTH ? '' : `.p/${width}`;
}

/** 1234067 -> x001/x234/067. */
function groups(index: number): string {
  let text = String(index % PATH_GROUP).padStart(3, '0');
  for (let rest = Math.floor(index / PATH_GROUP); rest > 0; rest = Math.floor(rest / PATH_GROUP)) {
    text = `x${String(rest % PATH_GROUP).padStart(3, '0')}/${text}`;
  }
  return text;
}
