import { ByteSink } from './byte-sink.js';

/** Writes MessagePack as rmp-serde does: always the shortest head; the opposite of `MessagePackReader`. */
export class MessagePackWriter {
  private readonly sink = new ByteSink();

  map(count: number): this {
    return this.head(count, 0x80, 0xde);
  }

  array(count: number): this {
    return this.head(count, 0x90, 0xdc);
  }

  nil(): this {
    this.sink.u8(0xc0);
    return this;
  }

  string(text: string): this {
    const bytes = Buffer.from(text, 'utf8');
    if (bytes.length < 32) this.sink.u8(0xa0 | bytes.length);
    else this.sized(bytes.length, 0xd9);
    this.sink.raw(bytes);
    return this;
  }

  /** Unsigned integer below 2^32. */
  unsigned(value: number): this {
    if (value < 0x80) this.sink.u8(value);
    else this.sized(value, 0xcc);
    return this;
  }

  /** serde-human-bytes: bin. */
  binary(bytes: Uint8Array): this {
    this.sized(bytes.length, 0xc4);
    this.sink.raw(bytes);
    return this;
  }

  /** Vec<u8>: an array of integers. */
  byteArray(bytes: Uint8Array): this {
    this.array(bytes.length);
    const encoded = new Uint8Array(bytes.length * 2);
    let length = 0;
    for (const byte of bytes) {
      if (byte >= 0x80) encoded[length++] = 0xcc;
      encoded[length++] = byte;
    }
    this.sink.raw(encoded.subarray(0, length));
    return this;
  }

  finish(): Uint8Array {
    return this.sink.finish();
  }

  private head(count: number, fix: number, wide: number): this {
    if (count < 16) this.sink.u8(fix | count);
    else if (count < 0x10000) this.sink.u8(wide).unsignedBigEndian(count, 2);
    else this.sink.u8(wide + 1).unsignedBigEndian(count, 4);
    return this;
  }

  /** Marker `base`, `base + 1` or `base + 2` and a value of 1, 2 or 4 bytes. */
  private sized(value: number, base: number): void {
    if (value < 0x100) this.sink.u8(base).u8(value);
    else if (value < 0x10000) this.sink.u8(base + 1).unsignedBigEndian(value, 2);
    else this.sink.u8(base + 2).unsignedBigEndian(value, 4);
  }
}
