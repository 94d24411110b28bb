import { createHash, hash } from 'node:crypto';

/** Lower-case hex. */
export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}

/** Bytes of hex text of either case, or undefined when it is not hex of `sizeBytes` bytes (any size when left out). */
export function fromHex(text: string, sizeBytes?: number): Uint8Array | undefined {
  if (sizeBytes !== undefined && text.length !== sizeBytes * 2) return undefined;
  // Decoding stops at the first character that is no hex digit, and leaves out half a byte at the end.
  const bytes = Buffer.from(text, 'hex');
  return bytes.length * 2 === text.length ? new Uint8Array(bytes) : undefined;
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}

export function isZero(bytes: Uint8Array): boolean {
  for (const byte of bytes) if (byte !== 0) return false;
  return true;
}

export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

/** Above it, the parts are hashed one by one rather than joined. */
const JOIN_MAX_BYTES = 16_384;

export function hashBytes(algorithm: string, ...parts: readonly Uint8Array[]): Uint8Array {
  const sizeBytes = parts.reduce((sum, part) => sum + part.length, 0);
  // One call of `hash` costs half of what a hash object does.
  if (sizeBytes <= JOIN_MAX_BYTES) return new Uint8Array(hash(algorithm, joined(parts), 'buffer'));
  const object = createHash(algorithm);
  for (const part of parts) object.update(part);
  return new Uint8Array(object.digest());
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const [first] = parts;
  return first !== undefined && parts.length === 1 ? first : Buffer.concat(parts);
}
