import { Refusal } from '../refusal.js';

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Bounds-checked little-endian reader for outside bytes. Everything it hands out is a view of the input, so nothing is
 * allocated by a declared length. Every refusal carries the code of the format being read and the offset in the input.
 */
export class ByteSource {
  protected position: number;
  private readonly view: DataView;

  constructor(
    protected readonly bytes: Uint8Array,
    /** Code of the refusals, for example `CCEL_FORMAT`. */
    private readonly code: string,
    start = 0,
    private readonly end = bytes.length,
  ) {
    this.position = start;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
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

  u8(field: string): number {
    return this.view.getUint8(this.advance(1, field));
  }

  u16(field: string): number {
    return this.view.getUint16(this.advance(2, field), true);
  }

  u32(field: string): number {
    return this.view.getUint32(this.advance(4, field), true);
  }

  u64(field: string): bigint {
    return this.view.getBigUint64(this.advance(8, field), true);
  }

  /** Unsigned big-endian integer of 1, 2 or 4 bytes, as MessagePack and CBOR write them. */
  unsignedBigEndian(sizeBytes: 1 | 2 | 4, field: string): number {
    const start = this.advance(sizeBytes, field);
    if (sizeBytes === 1) return this.view.getUint8(start);
    return sizeBytes === 2 ? this.view.getUint16(start, false) : this.view.getUint32(start, false);
  }

  /** UTF-8 text of `sizeBytes` bytes; malformed sequences are refused, nothing is replaced. */
  text(sizeBytes: number, field: string): string {
    const start = this.position;
    const raw = this.take(sizeBytes, field);
    try {
      return UTF8.decode(raw);
    } catch (error) {
      if (error instanceof TypeError) throw this.refuse(`${field} is not UTF-8`, start);
      throw error;
    }
  }

  expectEnd(field: string): void {
    if (this.remaining !== 0) throw this.refuse(`${field} has ${this.remaining} trailing bytes`);
  }

  refuse(message: string, offset = this.position): Refusal {
    return new Refusal(this.code, `${message} (offset ${offset})`, offset);
  }

  private advance(sizeBytes: number, field: string): number {
    if (sizeBytes > this.remaining) {
      throw this.refuse(`${field} needs ${sizeBytes} bytes, ${this.remaining} are there`);
    }
    const start = this.position;
    this.position += sizeBytes;
    return start;
  }
}
