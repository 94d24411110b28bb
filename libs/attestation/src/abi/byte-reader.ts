import { Refusal } from '../refusal.js';

/** Bounds-checked little-endian reader over a window of a quote. Offsets in errors are those of the whole quote. */
export class ByteReader {
  private position: number;

  constructor(
    private readonly bytes: Uint8Array,
    start = 0,
    private readonly end = bytes.length,
  ) {
    this.position = start;
  }

  get offset(): number {
    return this.position;
  }

  get remaining(): number {
    return this.end - this.position;
  }

  /** A view (not a copy) of the next `sizeBytes` bytes. */
  take(sizeBytes: number, field: string): Uint8Array {
    const start = this.advance(sizeBytes, field);
    return this.bytes.subarray(start, start + sizeBytes);
  }

  /** A reader over the next `sizeBytes` bytes; this one moves behind them. */
  window(sizeBytes: number, field: string): ByteReader {
    const start = this.advance(sizeBytes, field);
    return new ByteReader(this.bytes, start, start + sizeBytes);
  }

  u16(field: string): number {
    const at = this.advance(2, field);
    return this.byte(at) | (this.byte(at + 1) << 8);
  }

  u32(field: string): number {
    const at = this.advance(4, field);
    return this.byte(at) + this.byte(at + 1) * 0x100 + this.byte(at + 2) * 0x10000 + this.byte(at + 3) * 0x1000000;
  }

  /** @throws Refusal `QUOTE_FORMAT` unless the window is used up. */
  expectEnd(field: string): void {
    if (this.remaining !== 0) {
      throw new Refusal('QUOTE_FORMAT', `${field} leaves ${this.remaining} bytes unused`, this.position);
    }
  }

  private byte(at: number): number {
    return this.bytes[at] ?? 0;
  }

  private advance(sizeBytes: number, field: string): number {
    if (sizeBytes > this.remaining) {
      throw new Refusal(
        'QUOTE_TRUNCATED',
        `${field} needs ${sizeBytes} bytes at offset ${this.position}, ${this.remaining} are there`,
        this.position,
      );
    }
    const start = this.position;
    this.position += sizeBytes;
    return start;
  }
}
