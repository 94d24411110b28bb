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

/** One DER element of the input: its tag, its content, and its exact encoding (tag and length included), as views. */
export class DerElement {
  constructor(
    private readonly bytes: Uint8Array,
    readonly tag: number,
    private readonly start: number,
    private readonly contentStart: number,
    private readonly end: number,
  ) {}

  get content(): Uint8Array {
    return this.bytes.subarray(this.contentStart, this.end);
  }

  get encoded(): Uint8Array {
    return this.bytes.subarray(this.start, this.end);
  }
}

/**
 * Strict, bounds-checked DER reader: definite minimal lengths and one-byte tags only, no copies, no allocation by declared
 * length. What is signed is taken as a slice of the input and is never encoded again.
 * Every error is a Refusal `DER_FORMAT`.
 */
export class DerReader {
  private position: number;

  constructor(
    private readonly bytes: Uint8Array,
    start = 0,
    private readonly end = bytes.length,
  ) {
    this.position = start;
  }

  get atEnd(): boolean {
    return this.position === this.end;
  }

  peekTag(): number | undefined {
    return this.atEnd ? undefined : this.bytes[this.position];
  }

  next(tag: number, field: string): DerElement {
    const start = this.position;
    const contentStart = this.expect(tag, field);
    return new DerElement(this.bytes, tag, start, contentStart, this.position);
  }

  /** The next element when it has this tag, else undefined and nothing is consumed. */
  optional(tag: number, field: string): DerElement | undefined {
    return this.peekTag() === tag ? this.next(tag, field) : undefined;
  }

  /** A reader over the content of the next element. */
  enter(tag: number, field: string): DerReader {
    const contentStart = this.expect(tag, field);
    return new DerReader(this.bytes, contentStart, this.position);
  }

  any(field: string): DerElement {
    const start = this.position;
    const contentStart = this.header(field);
    return new DerElement(this.bytes, this.bytes[start] ?? 0, start, contentStart, this.position);
  }

  /** A reader that stands before the next element; this one moves behind it. */
  aside(field: string): DerReader {
    const start = this.position;
    this.header(field);
    return new DerReader(this.bytes, start, this.position);
  }

  expectEnd(field: string): void {
    if (!this.atEnd) throw refuse(`${field} has trailing bytes`);
  }

  /** Content of an OBJECT IDENTIFIER as hex. */
  oid(field: string): string {
    const contentStart = this.expect(DER.oid, field);
    return shortHex(this.bytes, contentStart, this.position);
  }

  /** A non-negative INTEGER of at most four bytes. */
  smallInteger(field: string, max: number, tag: number = DER.integer): number {
    const contentStart = this.expect(tag, field);
    checkInteger(this.bytes, contentStart, this.position, field);
    let value = this.position - contentStart > 5 ? Number.POSITIVE_INFINITY : 0;
    for (let i = contentStart; i < this.position; i += 1) value = value * 256 + (this.bytes[i] ?? 0);
    if (((this.bytes[contentStart] ?? 0) & 0x80) !== 0 || value > max) {
      throw refuse(`${field} is not an integer from 0 to ${max}`);
    }
    return value;
  }

  /** Where in the input an INTEGER starts, without leading zero bytes, and ends: a serial number. */
  unsigned(field: string): readonly [start: number, end: number] {
    let start = this.expect(DER.integer, field);
    checkInteger(this.bytes, start, this.position, field);
    while (this.bytes[start] === 0 && start < this.position - 1) start += 1;
    return [start, this.position];
  }

  /** The same as hex. */
  integerHex(field: string): string {
    const [start, end] = this.unsigned(field);
    return toHex(this.bytes.subarray(start, end));
  }

  /** The last byte of an OBJECT IDENTIFIER directly below `parent` (the content of one), or undefined when it is no such. */
  oidBelow(parent: Uint8Array, field: string): number | undefined {
    const start = this.expect(DER.oid, field);
    if (this.position - start !== parent.length + 1) return undefined;
    for (let i = 0; i < parent.length; i += 1) if (this.bytes[start + i] !== parent[i]) return undefined;
    return this.bytes[this.position - 1];
  }

  boolean(field: string): boolean {
    const at = this.expect(DER.boolean, field);
    const value = this.bytes[at];
    if (this.position - at !== 1 || (value !== 0x00 && value !== 0xff)) throw refuse(`${field} is not a DER boolean`);
    return value === 0xff;
  }

  /** A BIT STRING of whole bytes. */
  bits(field: string): Uint8Array {
    const contentStart = this.expect(DER.bitString, field);
    if (contentStart === this.position || this.bytes[contentStart] !== 0) {
      throw refuse(`${field} is not a bit string of whole bytes`);
    }
    return this.bytes.subarray(contentStart + 1, this.position);
  }

  time(field: string): Date {
    return new Date(this.timeMs(field));
  }

  /** The same in milliseconds since 1970. */
  timeMs(field: string): number {
    const tag = this.peekTag();
    const contentStart = this.header(field);
    if (tag !== DER.utcTime && tag !== DER.generalizedTime) throw refuse(`${field} is not a time`);
    const ms = readTime(this.bytes, contentStart, this.position, tag === DER.utcTime);
    if (ms === undefined) throw refuse(`${field} is not a DER time`);
    return ms;
  }

  /** Moves behind the next element, which must have this tag; returns where its content starts. */
  private expect(tag: number, field: string): number {
    const start = this.position;
    const contentStart = this.header(field);
    const found = this.bytes[start] ?? 0;
    if (found !== tag) throw refuse(`${field} has tag 0x${found.toString(16)}, not 0x${tag.toString(16)}`);
    return contentStart;
  }

  /** Moves behind the next element; returns where its content starts. */
  private header(field: string): number {
    if ((this.byte(field) & 0x1f) === 0x1f) throw refuse(`${field} has a multi-byte tag`);
    const sizeBytes = this.length(field);
    if (sizeBytes > this.end - this.position) throw refuse(`${field} is longer than its container`);
    const contentStart = this.position;
    this.position += sizeBytes;
    return contentStart;
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
    if (this.position >= this.end) throw refuse(`${field} is cut off`);
    const byte = this.bytes[this.position] ?? 0;
    this.position += 1;
    return byte;
  }
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** For the few bytes of an identifier or serial; a table is faster there than a Buffer. */
function shortHex(bytes: Uint8Array, start: number, end: number): string {
  let text = '';
  for (let i = start; i < end; i += 1) text += HEX[bytes[i] ?? 0] ?? '';
  return text;
}

function checkInteger(bytes: Uint8Array, start: number, end: number, field: string): void {
  const [first, second] = [bytes[start] ?? 0, bytes[start + 1] ?? 0];
  if (end === start) throw refuse(`${field} is an empty integer`);
  const padded = end - start > 1 && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80));
  if (padded) throw refuse(`${field} is an integer that is not minimal`);
}

const DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] as const;
const DIGIT_ZERO = 0x30;
const LETTER_Z = 0x5a;

/** Milliseconds of YYMMDDHHMMSSZ or YYYYMMDDHHMMSSZ (RFC 5280 §4.1.2.5), or undefined when it is no such time. */
function readTime(bytes: Uint8Array, start: number, end: number, twoDigitYear: boolean): number | undefined {
  const yearDigits = twoDigitYear ? 2 : 4;
  if (end - start !== yearDigits + 11 || bytes[end - 1] !== LETTER_Z) return undefined;
  for (let i = start; i < end - 1; i += 1) {
    const digit = (bytes[i] ?? 0) - DIGIT_ZERO;
    if (digit < 0 || digit > 9) return undefined;
  }
  const pair = (at: number): number => ((bytes[at] ?? 0) - DIGIT_ZERO) * 10 + ((bytes[at + 1] ?? 0) - DIGIT_ZERO);
  const first = pair(start);
  const year = twoDigitYear ? (first >= 50 ? 1900 : 2000) + first : first * 100 + pair(start + 2);
  const at = start + yearDigits;
  const month = pair(at);
  const day = pair(at + 2);
  const hour = pair(at + 4);
  const minute = pair(at + 6);
  const second = pair(at + 8);
  if (day < 1 || day > daysOf(year, month) || hour > 23 || minute > 59 || second > 59) return undefined;
  // Date.UTC reads years 0 to 99 as 1900 to 1999; no certificate is that old.
  return year < 100 ? undefined : Date.UTC(year, month - 1, day, hour, minute, second);
}

/** 0 for a month that is none. */
function daysOf(year: number, month: number): number {
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return (DAYS[month - 1] ?? 0) + (month === 2 && leap ? 1 : 0);
}

function refuse(message: string): Refusal {
  return new Refusal('DER_FORMAT', message);
}
