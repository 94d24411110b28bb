import { toHex } from '../bytes.js';
import { Refusal } from '../refusal.js';

/** DER tags used by certificates and CRLs (ITU-T X.690). */
export const DER = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  enumerated: 0x0a,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
  /** Context-specific, constructed: [0], [3]. */
  context0: 0xa0,
  context3: 0xa3,
} as const;

/** One DER element: its tag, its content, and its exact encoding (tag and length included). */
export interface DerElement {
  readonly tag: number;
  readonly content: Uint8Array;
  readonly encoded: Uint8Array;
}

/**
 * Strict, bounds-checked DER reader: definite minimal lengths and one-byte tags only, no copies, no allocation by declared
 * length. What is signed is taken as a slice of the input and is never encoded again.
 * Every error is a Refusal `DER_FORMAT`.
 */
export class DerReader {
  private position = 0;

  constructor(private readonly bytes: Uint8Array) {}

  get atEnd(): boolean {
    return this.position === this.bytes.length;
  }

  peekTag(): number | undefined {
    return this.bytes[this.position];
  }

  next(tag: number, field: string): DerElement {
    const element = this.any(field);
    if (element.tag !== tag) {
      throw refuse(`${field} has tag 0x${element.tag.toString(16)}, not 0x${tag.toString(16)}`);
    }
    return element;
  }

  /** The next element when it has this tag, else undefined and nothing is consumed. */
  optional(tag: number, field: string): DerElement | undefined {
    return this.peekTag() === tag ? this.next(tag, field) : undefined;
  }

  /** A reader over the content of the next element. */
  enter(tag: number, field: string): DerReader {
    return new DerReader(this.next(tag, field).content);
  }

  any(field: string): DerElement {
    const start = this.position;
    const tag = this.byte(field);
    if ((tag & 0x1f) === 0x1f) throw refuse(`${field} has a multi-byte tag`);
    const sizeBytes = this.length(field);
    if (sizeBytes > this.bytes.length - this.position) throw refuse(`${field} is longer than its container`);
    const content = this.bytes.subarray(this.position, this.position + sizeBytes);
    this.position += sizeBytes;
    return { tag, content, encoded: this.bytes.subarray(start, this.position) };
  }

  expectEnd(field: string): void {
    if (!this.atEnd) throw refuse(`${field} has trailing bytes`);
  }

  /** Content of an OBJECT IDENTIFIER as hex. */
  oid(field: string): string {
    return toHex(this.next(DER.oid, field).content);
  }

  /** A non-negative INTEGER of at most four bytes. */
  smallInteger(field: string, max: number, tag: number = DER.integer): number {
    const { content } = this.next(tag, field);
    checkInteger(content, field);
    const value = content.length > 5 ? Number.POSITIVE_INFINITY : content.reduce((sum, byte) => sum * 256 + byte, 0);
    if (((content[0] ?? 0) & 0x80) !== 0 || value > max) throw refuse(`${field} is not an integer from 0 to ${max}`);
    return value;
  }

  /** A non-negative INTEGER as hex without leading zero bytes. */
  integerHex(field: string): string {
    const { content } = this.next(DER.integer, field);
    checkInteger(content, field);
    return toHex(content).replace(/^(00)+(?=..)/, '');
  }

  boolean(field: string): boolean {
    const { content } = this.next(DER.boolean, field);
    if (content.length !== 1 || (content[0] !== 0x00 && content[0] !== 0xff))
      throw refuse(`${field} is not a DER boolean`);
    return content[0] === 0xff;
  }

  /** A BIT STRING of whole bytes. */
  bits(field: string): Uint8Array {
    const { content } = this.next(DER.bitString, field);
    if (content[0] !== 0) throw refuse(`${field} is not a bit string of whole bytes`);
    return content.subarray(1);
  }

  time(field: string): Date {
    const element = this.any(field);
    const text = Buffer.from(element.content).toString('latin1');
    if (element.tag !== DER.utcTime && element.tag !== DER.generalizedTime) throw refuse(`${field} is not a time`);
    const date = element.tag === DER.utcTime ? utcTime(text) : generalizedTime(text);
    if (date === undefined) throw refuse(`${field} is not a DER time`);
    return date;
  }

  private length(field: string): number {
    const first = this.byte(field);
    if (first < 0x80) return first;
    const count = first & 0x7f;
    if (count === 0 || count > 3) throw refuse(`${field} has an unsupported length form`);
    let sizeBytes = 0;
    for (let i = 0; i < count; i++) sizeBytes = sizeBytes * 256 + this.byte(field);
    if (sizeBytes < 0x80 || sizeBytes < 256 ** (count - 1)) throw refuse(`${field} has a length that is not minimal`);
    return sizeBytes;
  }

  private byte(field: string): number {
    const byte = this.bytes[this.position];
    if (byte === undefined) throw refuse(`${field} is cut off`);
    this.position += 1;
    return byte;
  }
}

function checkInteger(content: Uint8Array, field: string): void {
  const [first, second] = content;
  if (first === undefined) throw refuse(`${field} is an empty integer`);
  const padded = second !== undefined && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80));
  if (padded) throw refuse(`${field} is an integer that is not minimal`);
}

function utcTime(text: string): Date | undefined {
  const year = Number(text.slice(0, 2));
  return generalizedTime(`${year >= 50 ? '19' : '20'}${text}`);
}

function generalizedTime(text: string): Date | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(text);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second] = match;
  const iso = `${year}-${month}-${day}T${hour}:${minute}:${second}.000Z`;
  const date = new Date(iso);
  return Number.isNaN(date.getTime()) || date.toISOString() !== iso ? undefined : date;
}

function refuse(message: string): Refusal {
  return new Refusal('DER_FORMAT', message);
}
