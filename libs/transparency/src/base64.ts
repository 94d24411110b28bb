/**
 * Decodes standard base64 (RFC 4648 §4, with padding) strictly: one text per byte string. Node's own decoder skips what
 * it does not know, which would let changed text pass. Returns undefined when `text` is not that one text.
 */
export function decodeBase64(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? new Uint8Array(bytes) : undefined;
}

export function encodeBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}
