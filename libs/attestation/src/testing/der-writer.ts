import { concatBytes, fromHex } from '../bytes.js';
import { DER } from '../x509/der-reader.js';

/** Minimal DER writing for test certificates and CRLs; the opposite of `DerReader`. */
export function der(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const content = concatBytes(...parts);
  return concatBytes(new Uint8Array([tag, ...lengthBytes(content.length)]), content);
}

function lengthBytes(sizeBytes: number): readonly number[] {
  if (sizeBytes < 0x80) return [sizeBytes];
  return sizeBytes < 0x100 ? [0x81, sizeBytes] : [0x82, sizeBytes >> 8, sizeBytes & 0xff];
}

export const sequence = (...parts: readonly Uint8Array[]): Uint8Array => der(DER.sequence, ...parts);
export const octets = (bytes: Uint8Array): Uint8Array => der(DER.octetString, bytes);
export const bits = (bytes: Uint8Array, unused = 0): Uint8Array => der(DER.bitString, new Uint8Array([unused]), bytes);
export const boolean = (value: boolean): Uint8Array => der(DER.boolean, new Uint8Array([value ? 0xff : 0]));

/** OID from the hex of its content. */
export function oid(contentHex: string): Uint8Array {
  return der(DER.oid, fromHex(contentHex) ?? new Uint8Array());
}

/** Non-negative integer. */
export function integer(value: number, tag: number = DER.integer): Uint8Array {
  const hex = value.toString(16);
  const bytes = fromHex(hex.padStart(hex.length + (hex.length % 2), '0')) ?? new Uint8Array();
  const sign = ((bytes[0] ?? 0) & 0x80) !== 0 ? [0] : [];
  return der(tag, new Uint8Array(sign), bytes);
}

export function time(date: Date): Uint8Array {
  const text = `${date.toISOString().slice(0, 19).replace(/[-:T]/g, '')}Z`;
  return der(DER.generalizedTime, Buffer.from(text, 'latin1'));
}

/** A Name with one UTF8String common name. */
export function commonName(text: string): Uint8Array {
  const utf8String = 0x0c;
  return sequence(der(DER.set, sequence(oid('550403'), der(utf8String, Buffer.from(text, 'utf8')))));
}
