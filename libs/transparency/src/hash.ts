import { createHash } from 'node:crypto';

/** A SHA-256 digest, 32 bytes. */
export type Hash = Uint8Array;

export const HASH_BYTES = 32;

/** Domain separation of RFC 6962 §2.1: a leaf can never be taken for an interior node. */
const LEAF_PREFIX = Uint8Array.of(0x00);
const NODE_PREFIX = Uint8Array.of(0x01);

/** SHA-256(0x00 || entry): hash of a leaf (RFC 6962 §2.1). `entry` is the event's exact stored bytes. */
export function leafHash(entry: Uint8Array): Hash {
  return new Uint8Array(createHash('sha256').update(LEAF_PREFIX).update(entry).digest());
}

/** SHA-256(0x01 || left || right): hash of an interior node (RFC 6962 §2.1). */
export function nodeHash(left: Hash, right: Hash): Hash {
  return new Uint8Array(createHash('sha256').update(NODE_PREFIX).update(left).update(right).digest());
}

/** Root of the tree without leaves: SHA-256 of nothing (RFC 6962 §2.1). */
export const EMPTY_ROOT: Hash = new Uint8Array(createHash('sha256').digest());

/** Whether two hashes are equal; false for hashes of another length. Hashes here are public: timing does not matter. */
export function sameHash(a: Hash, b: Hash): boolean {
  return Buffer.compare(a, b) === 0;
}
