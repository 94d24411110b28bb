import { ByteSource } from './byte-source.js';

/**
 * SCALE as parity-scale-codec reads it: compact lengths in their shortest form only, booleans 00 or 01, options 00 or 01
 * and the value, integers little-endian (dstack-kms §9, §10.2).
 */
export class ScaleReader extends ByteSource {
  /** A compact integer of at most 32 bits. */
  compact(field: string): number {
    const first = this.u8(field);
    const mode = first & 3;
    if (mode === 0) return first >>> 2;
    const value = this.longCompact(first, mode, field);
    const smallest = mode === 1 ? 0x40 : mode === 2 ? 0x4000 : 0x4000_0000;
    if (value < smallest) throw this.refuse(`${field} has a compact length that is not minimal`);
    return value;
  }

  /** Vec<u8>: a view. */
  byteVector(field: string): Uint8Array {
    return this.take(this.compact(field), field);
  }

  string(field: string): string {
    return this.text(this.compact(field), field);
  }

  boolean(field: string): boolean {
    const value = this.u8(field);
    if (value > 1) throw this.refuse(`${field} is not a boolean`);
    return value === 1;
  }

  option<T>(field: string, read: () => T): T | undefined {
    return this.boolean(field) ? read() : undefined;
  }

  /** Vec<T> whose items have at least `minItemBytes` bytes each; the declared count is checked before anything is read. */
  list<T>(field: string, bounds: { readonly minItemBytes: number; readonly maxItems: number }, read: () => T): T[] {
    const count = this.compact(field);
    if (count > bounds.maxItems) throw this.refuse(`${field} has ${count} items, more than ${bounds.maxItems}`);
    if (count * bounds.minItemBytes > this.remaining) throw this.refuse(`${field} declares more items than there are`);
    const items: T[] = [];
    for (let i = 0; i < count; i++) items.push(read());
    return items;
  }

  private longCompact(first: number, mode: number, field: string): number {
    if (mode === 1) return (first >>> 2) | (this.u8(field) << 6);
    if (mode === 2) return (first >>> 2) + this.u8(field) * 2 ** 6 + this.u16(field) * 2 ** 14;
    if (first !== 3) throw this.refuse(`${field} is longer than 32 bits`);
    return this.u32(field);
  }
}
