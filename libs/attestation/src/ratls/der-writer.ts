import { fromHex } from '../bytes.js';
import { DER } from '../x509/der-reader.js';

/** A DER element that is not written yet: sizes are known, bytes are copied once, when the whole is written. */
export interface DerElementTree {
  readonly tag: number;
  readonly contentBytes: number;
  readonly encodedBytes: number;
  readonly parts: readonly DerPart[];
}
/** Ready encodings are taken as they are. */
export type DerPart = Uint8Array | DerElementTree;

/** One element with this tag around its parts. */
export function der(tag: number, ...parts: readonly DerPart[]): DerElementTree {
  let contentBytes = 0;
  for (const part of parts) contentBytes += encodedBytesOf(part);
  return { tag, contentBytes, encodedBytes: 1 + lengthBytes(contentBytes) + contentBytes, parts };
}

export const sequence = (...parts: readonly DerPart[]): DerElementTree => der(DER.sequence, ...parts);
export const octetString = (...parts: readonly DerPart[]): DerElementTree => der(DER.octetString, ...parts);

/** Prebuilt elements are shared: nothing writes into them. */
const NO_UNUSED_BITS = new Uint8Array([0]);
const TRUE = new Uint8Array([DER.boolean, 1, 0xff]);
const UTF8_STRING = 0x0c;

/** BIT STRING of whole bytes. */
export const bitString = (bytes: DerPart): DerElementTree => der(DER.bitString, NO_UNUSED_BITS, bytes);
export const booleanTrue = (): Uint8Array => TRUE;
export const utf8String = (text: string): DerElementTree => der(UTF8_STRING, Buffer.from(text, 'utf8'));

/** OBJECT IDENTIFIER from the hex of its content. */
export function objectIdentifier(contentHex: string): DerElementTree {
  const content = fromHex(contentHex);
  if (content === undefined || content.length === 0) throw new RangeError(`${contentHex} is not the hex of an OID`);
  return der(DER.oid, content);
}

/** Non-negative INTEGER from big-endian bytes, in its shortest form. */
export function unsignedInteger(bytes: Uint8Array): DerElementTree {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start += 1;
  const content = bytes.subarray(start);
  const padded = content.length === 0 || (content[0] ?? 0) >= 0x80;
  return padded ? der(DER.integer, NO_UNUSED_BITS, content) : der(DER.integer, content);
}

/** Time to the second: UTCTime until 2049, GeneralizedTime after (RFC 5280 §4.1.2.5). @throws RangeError */
export function time(date: Date): DerElementTree {
  const text = `${date.toISOString().slice(0, 19).replace(/[-:T]/g, '')}Z`;
  const year = date.getUTCFullYear();
  if (year < 1950 || year > 9999) throw new RangeError(`a certificate cannot name the year ${year}`);
  return year < 2050
    ? der(DER.utcTime, Buffer.from(text.slice(2), 'latin1'))
    : der(DER.generalizedTime, Buffer.from(text, 'latin1'));
}

/** The encoding, written in one pass into one buffer. */
export function encodeDer(element: DerElementTree): Uint8Array {
  const out = new Uint8Array(element.encodedBytes);
  writeElement(out, 0, element);
  return out;
}

function writeElement(out: Uint8Array, start: number, element: DerElementTree): number {
  out[start] = element.tag;
  let at = writeLength(out, start + 1, element.contentBytes);
  for (const part of element.parts) {
    if (part instanceof Uint8Array) {
      out.set(part, at);
      at += part.length;
    } else {
      at = writeElement(out, at, part);
    }
  }
  return at;
}

function encodedBytesOf(part: DerPart): number {
  return part instanceof Uint8Array ? part.length : part.encodedBytes;
}

function lengthBytes(contentBytes: number): number {
  if (contentBytes < 0x80) return 1;
  return contentBytes < 0x100 ? 2 : contentBytes < 0x10000 ? 3 : 4;
}

function writeLength(out: Uint8Array, start: number, contentBytes: number): number {
  if (contentBytes > 0xffffff) throw new RangeError(`${contentBytes} bytes are too much for one element`);
  const count = lengthBytes(contentBytes) - 1;
  if (count === 0) {
    out[start] = contentBytes;
    return start + 1;
  }
  out[start] = 0x80 | count;
  for (let i = 0; i < count; i++) out[start + 1 + i] = (contentBytes >>> (8 * (count - 1 - i))) & 0xff;
  return start + 1 + count;
}
