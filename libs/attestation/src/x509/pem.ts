import { Refusal } from '../refusal.js';

const BLOCK = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/= \t\r\n]*)-----END CERTIFICATE-----/g;

/**
 * DER of every certificate in PEM text (RFC 7468), in file order. Between the blocks only white space and NUL may stand
 * (chains in quotes end with NUL).
 * @throws Refusal `PEM_FORMAT`
 */
export function decodePemCertificates(text: string, source: string): readonly Uint8Array[] {
  const certificates: Uint8Array[] = [];
  const rest = text.replace(BLOCK, (_block, body: string) => {
    certificates.push(decodeBase64(body.replace(/[ \t\r\n]/g, ''), source));
    return '';
  });
  if (!/^[ \t\r\n\0]*$/.test(rest))
    throw new Refusal('PEM_FORMAT', `${source} holds something other than certificates`);
  return certificates;
}

function decodeBase64(text: string, source: string): Uint8Array {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.toString('base64') !== text) throw new Refusal('PEM_FORMAT', `${source} holds malformed base64`);
  return new Uint8Array(bytes);
}
