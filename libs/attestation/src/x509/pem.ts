import { Refusal } from '../refusal.js';

const BEGIN = '-----BEGIN CERTIFICATE-----';
const END = '-----END CERTIFICATE-----';
const SPACE = /[ \t\r\n]/g;
/** What may stand between the blocks. */
const GAP = /^[ \t\r\n\0]*$/;

/**
 * DER of every certificate in PEM text (RFC 7468), in file order. Between the blocks only white space and NUL may stand
 * (chains in quotes end with NUL).
 * @throws Refusal `PEM_FORMAT`
 */
export function decodePemCertificates(text: string, source: string): readonly Uint8Array[] {
  return pemBodies(text, source).map((body) => decodePemBody(body, source));
}

/** The text between the boundaries of every certificate block, white space and all. @throws Refusal `PEM_FORMAT` */
export function pemBodies(text: string, source: string): readonly string[] {
  const bodies: string[] = [];
  let at = 0;
  for (;;) {
    const begin = text.indexOf(BEGIN, at);
    if (!GAP.test(text.slice(at, begin < 0 ? text.length : begin))) {
      throw new Refusal('PEM_FORMAT', `${source} holds something other than certificates`);
    }
    if (begin < 0) return bodies;
    const end = text.indexOf(END, begin + BEGIN.length);
    if (end < 0) throw new Refusal('PEM_FORMAT', `${source} is cut off in a certificate`);
    bodies.push(text.slice(begin + BEGIN.length, end));
    at = end + END.length;
  }
}

/** @throws Refusal `PEM_FORMAT` unless the body is canonical base64 with white space anywhere in it */
export function decodePemBody(body: string, source: string): Uint8Array {
  const digits = body.replace(SPACE, '');
  const bytes = Buffer.from(digits, 'base64');
  // Decoding skips what is no digit; only the canonical form encodes to itself.
  if (bytes.toString('base64') !== digits) throw new Refusal('PEM_FORMAT', `${source} holds malformed base64`);
  return new Uint8Array(bytes);
}
