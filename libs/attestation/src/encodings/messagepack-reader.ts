import { ByteSource } from './byte-source.js';

type Members = Readonly<Record<string, () => unknown>>;
type Values<M extends Members> = { readonly [K in keyof M]: ReturnType<M[K]> };

const MARK = {
  nil: 0xc0,
  false: 0xc2,
  true: 0xc3,
  bin8: 0xc4,
  ext8: 0xc7,
  float32: 0xca,
  float64: 0xcb,
  uint8: 0xcc,
  uint64: 0xcf,
  int8: 0xd0,
  int64: 0xd3,
  fixext1: 0xd4,
  str8: 0xd9,
  array16: 0xdc,
  map16: 0xde,
} as const;
const NEGATIVE_FIXINT = 0xe0;
/** Records have at most seven fields here; unknown ones beyond that are nobody's future. */
const MAX_MEMBERS = 32;

/**
 * MessagePack with the types rmp-serde gives them: records are maps with text keys, Vec<u8> is an array of integers,
 * serde-human-bytes is bin (dstack-kms §10.3). One pass, nothing is allocated before the bytes for it are known to be there.
 */
export class MessagePackReader extends ByteSource {
  /**
   * A record. Members are read as they come; unknown ones are skipped as serde does, repeated ones refused. All members of
   * `required` must be there.
   */
  record<R extends Members, O extends Members = Record<never, () => unknown>>(
    field: string,
    required: R,
    optional?: O,
  ): Values<R> & Partial<Values<O>> {
    const count = this.header(field, 0x80, MARK.map16, 2);
    if (count > MAX_MEMBERS) throw this.refuse(`${field} has ${count} members, more than ${MAX_MEMBERS}`);
    const found = new Map<string, unknown>();
    for (let i = 0; i < count; i++) {
      const name = this.string(`${field} key`);
      if (found.has(name)) throw this.refuse(`${field}.${name} stands twice`);
      const read = memberOf(required, name) ?? memberOf(optional, name);
      if (read === undefined) this.skip(`${field}.${name}`);
      found.set(name, read?.());
    }
    const missing = Object.keys(required).find((name) => !found.has(name));
    if (missing !== undefined) throw this.refuse(`${field} has no ${missing}`);
    // Values came from the readers of these very names; Map cannot say so.
    return Object.fromEntries(found) as Values<R> & Partial<Values<O>>;
  }

  /** An array of at most `maxItems` items. */
  list<T>(field: string, maxItems: number, read: () => T): T[] {
    const count = this.header(field, 0x90, MARK.array16, 1);
    if (count > maxItems) throw this.refuse(`${field} has ${count} items, more than ${maxItems}`);
    const items: T[] = [];
    for (let i = 0; i < count; i++) items.push(read());
    return items;
  }

  /** Header of an array that must have exactly `count` items. */
  tuple(field: string, count: number): void {
    const found = this.header(field, 0x90, MARK.array16, 1);
    if (found !== count) throw this.refuse(`${field} has ${found} items, not ${count}`);
  }

  string(field: string): string {
    const marker = this.u8(field);
    if ((marker & 0xe0) === 0xa0) return this.text(marker & 0x1f, field);
    if (marker < MARK.str8 || marker > MARK.str8 + 2) throw this.refuse(`${field} is not text`, this.position - 1);
    return this.text(this.unsignedBigEndian(width(marker - MARK.str8), field), field);
  }

  /** Unsigned integer of at most `max` (below 2^32), in any width. */
  unsigned(field: string, max: number): number {
    const marker = this.u8(field);
    const value = marker < 0x80 ? marker : this.wideUnsigned(marker, field);
    if (value > max) throw this.refuse(`${field} is ${value}, more than ${max}`);
    return value;
  }

  /** bin: a view. */
  binary(field: string): Uint8Array {
    const marker = this.u8(field);
    if (marker < MARK.bin8 || marker > MARK.bin8 + 2) throw this.refuse(`${field} is not bin`, this.position - 1);
    return this.take(this.unsignedBigEndian(width(marker - MARK.bin8), field), field);
  }

  /** Vec<u8>: an array of integers 0-255. */
  byteArray(field: string): Uint8Array {
    const out = new Uint8Array(this.header(field, 0x90, MARK.array16, 1));
    for (let i = 0; i < out.length; i++) {
      const marker = this.bytes[this.position] ?? MARK.nil;
      if (marker < 0x80 && this.remaining > 0) {
        out[i] = marker;
        this.position += 1;
      } else {
        out[i] = this.unsigned(field, 255);
      }
    }
    return out;
  }

  /** bin, or an array of integers, which serde-human-bytes takes as well. */
  binaryOrArray(field: string): Uint8Array {
    const marker = this.bytes[this.position] ?? MARK.nil;
    return marker >= MARK.bin8 && marker <= MARK.bin8 + 2 ? this.binary(field) : this.byteArray(field);
  }

  /** True, and consumed, when nil comes next. */
  nil(field: string): boolean {
    if (this.remaining > 0 && this.bytes[this.position] !== MARK.nil) return false;
    this.u8(field);
    return true;
  }

  private wideUnsigned(marker: number, field: string): number {
    if (marker < MARK.uint8 || marker > MARK.uint64) throw this.refuse(`${field} is not an unsigned integer`);
    if (marker !== MARK.uint64) return this.unsignedBigEndian(width(marker - MARK.uint8), field);
    if (this.unsignedBigEndian(4, field) !== 0) throw this.refuse(`${field} is longer than 32 bits`);
    return this.unsignedBigEndian(4, field);
  }

  /** Count of a map or array; each of its items needs at least `minItemBytes` bytes, which must be there. */
  private header(field: string, fix: number, wide: number, minItemBytes: number): number {
    const marker = this.u8(field);
    const short = (marker & 0xf0) === fix;
    if (!short && marker !== wide && marker !== wide + 1) {
      throw this.refuse(`${field} is not ${fix === 0x80 ? 'a map' : 'an array'}`, this.position - 1);
    }
    const count = short ? marker & 0x0f : this.unsignedBigEndian(marker === wide ? 2 : 4, field);
    if (count * minItemBytes > this.remaining) throw this.refuse(`${field} declares more items than there are`);
    return count;
  }

  /** Skips one value of any kind without recursion: depth cannot exhaust the stack. */
  private skip(field: string): void {
    for (let pending = 1; pending > 0; pending--) {
      pending += this.skipHead(this.u8(field), field);
      if (pending > this.remaining + 1) throw this.refuse(`${field} declares more items than there are`);
    }
  }

  /** Consumes the rest of a value's head and its raw content; returns how many values are nested in it. */
  private skipHead(marker: number, field: string): number {
    if (marker < 0x80 || marker >= NEGATIVE_FIXINT) return 0;
    if (marker < 0x90) return 2 * (marker & 0x0f);
    if (marker < 0xa0) return marker & 0x0f;
    if (marker < 0xc0) return this.drop(marker & 0x1f, field);
    if (marker === MARK.nil || marker === MARK.false || marker === MARK.true) return 0;
    if (marker < MARK.bin8) throw this.refuse(`${field} holds a reserved marker`);
    if (marker < MARK.ext8) return this.drop(this.unsignedBigEndian(width(marker - MARK.bin8), field), field);
    if (marker < MARK.float32) return this.drop(this.unsignedBigEndian(width(marker - MARK.ext8), field) + 1, field);
    if (marker < MARK.uint8) return this.drop(marker === MARK.float32 ? 4 : 8, field);
    if (marker <= MARK.uint64) return this.drop(2 ** (marker - MARK.uint8), field);
    if (marker <= MARK.int64) return this.drop(2 ** (marker - MARK.int8), field);
    if (marker < MARK.str8) return this.drop(2 ** (marker - MARK.fixext1) + 1, field);
    if (marker < MARK.array16) return this.drop(this.unsignedBigEndian(width(marker - MARK.str8), field), field);
    const count = this.unsignedBigEndian((marker & 1) === 0 ? 2 : 4, field);
    return marker < MARK.map16 ? count : 2 * count;
  }

  private drop(sizeBytes: number, field: string): 0 {
    this.take(sizeBytes, field);
    return 0;
  }
}

function memberOf(members: Members | undefined, name: string): (() => unknown) | undefined {
  return members !== undefined && Object.hasOwn(members, name) ? members[name] : undefined;
}

function width(exponent: number): 1 | 2 | 4 {
  return exponent === 0 ? 1 : exponent === 1 ? 2 : 4;
}
