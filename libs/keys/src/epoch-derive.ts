import { hkdfSync } from 'node:crypto';
import type { ContextPart } from './derive.js';
import { InvalidKeyError } from './errors.js';

/** Another salt than dstack's "RATLS": no input of {@link deriveEpochKey} can meet one of dstack's derivations. */
const SALT = new TextEncoder().encode('vouch-kms-key-epoch-v1');
const MAX_EPOCH = 0xffff_ffff;
/** Candidates for a scalar before giving up; one in 2^32 fails on P-256. */
const MAX_CANDIDATES = 16;

export interface EpochContext {
  /** Key epoch, 1 to 2^32-1. Epoch 0 derives as dstack does and never comes here. */
  readonly keyEpoch: number;
  /** What the key is for, such as "app-disk-crypt-key". */
  readonly purpose: string;
  readonly parts: readonly ContextPart[];
}

/**
 * KDF of key epochs from 1 on: HKDF-SHA-256 with salt "vouch-kms-key-epoch-v1" and an info in which every field is framed,
 * so that two contexts never give the same info:
 *
 *   u32 key epoch || u32 length || purpose || u32 number of parts || (u32 length || part)* || u32 candidate || u32 length of output
 *
 * All integers big-endian. `length` in bytes. Throws InvalidKeyError for an epoch outside 1..2^32-1.
 */
export function deriveEpochKey(ikm: Uint8Array, context: EpochContext, length: number): Uint8Array {
  return expand(ikm, context, length, 0);
}

/**
 * A scalar: the first candidate (0, 1, …) of {@link deriveEpochKey} that `isScalar` takes. Not reduced modulo the order, so
 * that no secret becomes a number that cannot be wiped.
 */
export function deriveEpochScalar(
  ikm: Uint8Array,
  context: EpochContext,
  isScalar: (bytes: Uint8Array) => boolean,
): Uint8Array {
  for (let candidate = 0; candidate < MAX_CANDIDATES; candidate += 1) {
    const scalar = expand(ikm, context, 32, candidate);
    if (isScalar(scalar)) return scalar;
    scalar.fill(0);
  }
  throw new InvalidKeyError('no candidate is a scalar of the curve');
}

function expand(ikm: Uint8Array, { keyEpoch, purpose, parts }: EpochContext, length: number, candidate: number) {
  if (!Number.isInteger(keyEpoch) || keyEpoch < 1 || keyEpoch > MAX_EPOCH) {
    throw new InvalidKeyError(`key epoch ${keyEpoch} has no framed derivation`);
  }
  const bytes = parts.map((part) => Buffer.from(part as Uint8Array));
  const info = Buffer.concat([
    u32(keyEpoch),
    ...framed(Buffer.from(purpose)),
    u32(bytes.length),
    ...bytes.flatMap(framed),
    u32(candidate),
    u32(length),
  ]);
  return new Uint8Array(hkdfSync('sha256', ikm, SALT, info, length));
}

function framed(bytes: Buffer): Buffer[] {
  return [u32(bytes.length), bytes];
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
