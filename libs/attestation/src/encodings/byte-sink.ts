const FIRST_BYTES = 256;

/** Growing little-endian writer. */
export class ByteSink {
  private buffer = Buffer.alloc(FIRST_BYTES);
  private length = 0;

  u8(value: number): this {
    const start = this.reserve(1);
    this.buffer.writeUInt8(value, start);
    return this;
  }

  u16(value: number): this {
    const start = this.reserve(2);
    this.buffer.writeUInt16LE(value, start);
    return this;
  }

  u32(value: number): this {
    const start = this.reserve(4);
    this.buffer.writeUInt32LE(value, start);
    return this;
  }

  u64(value: bigint): this {
    const start = this.reserve(8);
    this.buffer.writeBigUInt64LE(value, start);
    return this;
  }

  /** Unsigned big-endian integer of `sizeBytes` (1 to 4) bytes. */
  unsignedBigEndian(value: number, sizeBytes: number): this {
    const start = this.reserve(sizeBytes);
    this.buffer.writeUIntBE(value, start, sizeBytes);
    return this;
  }

  raw(bytes: Uint8Array): this {
    const start = this.reserve(bytes.length);
    this.buffer.set(bytes, start);
    return this;
  }

  /** A copy of what was written. */
  finish(): Uint8Array {
    return new Uint8Array(this.buffer.subarray(0, this.length));
  }

  private reserve(sizeBytes: number): number {
    const start = this.length;
    this.length += sizeBytes;
    if (this.length > this.buffer.length) {
      const grown = Buffer.alloc(Math.max(this.length, this.buffer.length * 2));
      grown.set(this.buffer.subarray(0, start));
      this.buffer = grown;
    }
    return start;
  }
}
