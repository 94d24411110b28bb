import { ByteSink } from '../encodings/byte-sink.js';
import { ByteSource } from '../encodings/byte-source.js';

const MAJOR = { unsigned: 0, bytes: 2, text: 3, array: 4, map: 5 } as const;

/**
 * The part of CBOR (RFC 8949) that image measurements use: unsigned integers, byte strings, text, arrays and maps with text keys,
 * in deterministic form. Everything else, lengths that are not minimal included, is refused.
 */
export class CborReader extends ByteSource {
  /** A map with all of `required`, perhaps `optional`, and nothing else. Members are read as they come. */
  map(
    field: string,
    required: Readonly<Record<string, () => void>>,
    optional: Readonly<Record<string, () => void>> = {},
  ): void {
    const count = this.head(MAJOR.map, field);
    const missing = new Set(Object.keys(required));
    const seen = new Set<string>();
    for (let i = 0; i < count; i++) {
      const name = this.string(`${field} key`);
      const member = Object.hasOwn(required, name) ? required[name] : undefined;
      const read = member ?? (Object.hasOwn(optional, name) ? optional[name] : undefined);
      if (read === undefined || seen.has(name)) throw this.refuse(`${field}.${name} is unknown or stands twice`);
      seen.add(name);
      missing.delete(name);
      read();
    }
    if (missing.size > 0) throw this.refuse(`${field} has no ${[...missing].join(', ')}`);
  }

  unsigned(field: string): number {
    return this.head(MAJOR.unsigned, field);
  }

  /** An array of at most `maxLength` entries, each read by `entry`. */
  array<T>(field: string, maxLength: number, entry: () => T): readonly T[] {
    const count = this.head(MAJOR.array, field);
    if (count > maxLength) throw this.refuse(`${field} has ${count} entries, more than ${maxLength}`);
    return Array.from({ length: count }, entry);
  }

  /** A byte string, of `sizeBytes` bytes when given: a view. */
  byteString(field: string, sizeBytes?: number): Uint8Array {
    const found = this.head(MAJOR.bytes, field);
    if (sizeBytes !== undefined && found !== sizeBytes) {
      throw this.refuse(`${field} has ${found} bytes, not ${sizeBytes}`);
    }
    return this.take(found, field);
  }

  string(field: string): string {
    return this.text(this.head(MAJOR.text, field), field);
  }

  /** Argument of a head of this major type, below 2^32. */
  private head(major: number, field: string): number {
    const first = this.u8(field);
    if (first >> 5 !== major) throw this.refuse(`${field} has another CBOR type`, this.position - 1);
    const short = first & 0x1f;
    if (short < 24) return short;
    if (short > 26) throw this.refuse(`${field} has an unsupported length`, this.position - 1);
    const value = this.unsignedBigEndian(short === 24 ? 1 : short === 25 ? 2 : 4, field);
    const smallest = short === 24 ? 24 : short === 25 ? 0x100 : 0x10000;
    if (value < smallest) throw this.refuse(`${field} is not in its shortest form`);
    return value;
  }
}

/** Writes the same part of CBOR. */
export class CborWriter {
  private readonly sink = new ByteSink();

  map(count: number): this {
    return this.head(MAJOR.map, count);
  }

  array(count: number): this {
    return this.head(MAJOR.array, count);
  }

  unsigned(value: number): this {
    return this.head(MAJOR.unsigned, value);
  }

  string(text: string): this {
    const bytes = Buffer.from(text, 'utf8');
    this.head(MAJOR.text, bytes.length);
    this.sink.raw(bytes);
    return this;
  }

  byteString(bytes: Uint8Array): this {
    this.head(MAJOR.bytes, bytes.length);
    this.sink.raw(bytes);
    return this;
  }

  finish(): Uint8Array {
    return this.sink.finish();
  }

  private head(major: number, value: number): this {
    const first = major << 5;
    if (value < 24) this.sink.u8(first | value);
    else if (value < 0x100) this.sink.u8(first | 24).u8(value);
    else if (value < 0x10000) this.sink.u8(first | 25).unsignedBigEndian(value, 2);
    else this.sink.u8(first | 26).unsignedBigEndian(value, 4);
    return this;
  }
}
