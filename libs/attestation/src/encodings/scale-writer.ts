import { ByteSink } from './byte-sink.js';

/** Writes SCALE; the opposite of `ScaleReader`. @throws RangeError for lengths over 32 bits. */
export class ScaleWriter {
  private readonly sink = new ByteSink();

  u8(value: number): this {
    this.sink.u8(value);
    return this;
  }

  u32(value: number): this {
    this.sink.u32(value);
    return this;
  }

  u64(value: bigint): this {
    this.sink.u64(value);
    return this;
  }

  raw(bytes: Uint8Array): this {
    this.sink.raw(bytes);
    return this;
  }

  compact(value: number): this {
    if (value < 0x40) this.sink.u8(value << 2);
    else if (value < 0x4000) this.sink.u16((value << 2) | 1);
    else if (value < 0x4000_0000) this.sink.u32(value * 4 + 2);
    else this.sink.u8(3).u32(value);
    return this;
  }

  byteVector(bytes: Uint8Array): this {
    return this.compact(bytes.length).raw(bytes);
  }

  string(text: string): this {
    return this.byteVector(Buffer.from(text, 'utf8'));
  }

  boolean(value: boolean): this {
    return this.u8(value ? 1 : 0);
  }

  option<T>(value: T | undefined, write: (value: T) => void): this {
    this.boolean(value !== undefined);
    if (value !== undefined) write(value);
    return this;
  }

  list<T>(items: readonly T[], write: (item: T) => void): this {
    this.compact(items.length);
    for (const item of items) write(item);
    return this;
  }

  finish(): Uint8Array {
    return this.sink.finish();
  }
}
