import { createHash } from 'node:crypto';

/**
 * An event id (UUID version 8, RFC 9562) that is a function of its parts, so that work repeated after a crash names the
 * same event again: the first 16 bytes of SHA-256 over the length-prefixed parts, with the version and variant bits set.
 */
export function deterministicEventId(...parts: readonly (string | number)[]): string {
  const hash = createHash('sha256').update('vouch-event-id-v1\n');
  for (const part of parts) {
    const bytes = Buffer.from(String(part));
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    hash.update(length).update(bytes);
  }
  const id = hash.digest().subarray(0, 16);
  id.writeUInt8((id.readUInt8(6) & 0x0f) | 0x80, 6);
  id.writeUInt8((id.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = id.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
