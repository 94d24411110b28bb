import { EMPTY_ROOT, HASH_BYTES, type Hash, nodeHash, sameHash } from './hash.js';
import { assertCount } from './node-id.js';
import { TransparencyError } from './transparency-error.js';

/** What an inclusion proof says: this leaf is number `index` (from 0) of the `size` leaves under `root`. */
export interface InclusionClaim {
  readonly index: number;
  readonly size: number;
  readonly leaf: Hash;
  readonly path: readonly Hash[];
  readonly root: Hash;
}

/** What a consistency proof says: the first `oldSize` leaves under `newRoot` are exactly those under `oldRoot`. */
export interface ConsistencyClaim {
  readonly oldSize: number;
  readonly newSize: number;
  readonly oldRoot: Hash;
  readonly newRoot: Hash;
  readonly proof: readonly Hash[];
}

/** Throws `proof-malformed` or `proof-root-mismatch` unless the leaf is in the tree (RFC 9162 §2.1.3.2). */
export function verifyInclusion(claim: InclusionClaim): void {
  assertHash(claim.root, 'root');
  if (!sameHash(rootOfInclusion(claim), claim.root)) {
    throw new TransparencyError('proof-root-mismatch', `leaf ${claim.index} is not under the root of ${claim.size}`);
  }
}

/** The root that an inclusion proof leads to (RFC 9162 §2.1.3.2). Throws `proof-malformed` for a wrong path length. */
export function rootOfInclusion(claim: Omit<InclusionClaim, 'root'>): Hash {
  const { index, size, leaf, path } = claim;
  assertCount(index, 'index');
  assertCount(size, 'size');
  if (index >= size) throw new TransparencyError('proof-malformed', `leaf ${index} is outside a tree of ${size}`);
  assertHash(leaf, 'leaf');
  let fn = index;
  let sn = size - 1;
  let hash = leaf;
  for (const sibling of path) {
    assertHash(sibling, 'path');
    if (sn === 0) throw new TransparencyError('proof-malformed', 'the path is too long');
    if (fn % 2 === 1 || fn === sn) {
      hash = nodeHash(sibling, hash);
      while (fn % 2 === 0 && fn !== 0) [fn, sn] = [half(fn), half(sn)];
    } else {
      hash = nodeHash(hash, sibling);
    }
    [fn, sn] = [half(fn), half(sn)];
  }
  if (sn !== 0) throw new TransparencyError('proof-malformed', 'the path is too short');
  return hash;
}

/** Throws `proof-malformed` or `proof-root-mismatch` unless the new tree extends the old one (RFC 9162 §2.1.4.2). */
export function verifyConsistency(claim: ConsistencyClaim): void {
  const { oldSize, newSize, oldRoot, newRoot, proof } = claim;
  assertCount(oldSize, 'oldSize');
  assertCount(newSize, 'newSize');
  assertHash(oldRoot, 'oldRoot');
  assertHash(newRoot, 'newRoot');
  if (oldSize > newSize) throw new TransparencyError('proof-malformed', `${oldSize} is larger than ${newSize}`);
  if (oldSize === 0 || oldSize === newSize) {
    if (proof.length > 0) throw new TransparencyError('proof-malformed', 'the proof must be empty');
    if (!sameHash(oldRoot, oldSize === 0 ? EMPTY_ROOT : newRoot)) throw rootMismatch(oldSize, newSize);
    if (newSize === 0 && !sameHash(newRoot, EMPTY_ROOT)) throw rootMismatch(oldSize, newSize);
    return;
  }
  for (const hash of proof) assertHash(hash, 'proof');
  const [fromOld, fromNew] = walkConsistency(oldSize, newSize, isPowerOfTwo(oldSize) ? [oldRoot, ...proof] : proof);
  if (!sameHash(fromOld, oldRoot) || !sameHash(fromNew, newRoot)) throw rootMismatch(oldSize, newSize);
}

function walkConsistency(oldSize: number, newSize: number, proof: readonly Hash[]): [Hash, Hash] {
  const [first, ...rest] = proof;
  if (first === undefined) throw new TransparencyError('proof-malformed', 'the proof is empty');
  let fn = oldSize - 1;
  let sn = newSize - 1;
  while (fn % 2 === 1) [fn, sn] = [half(fn), half(sn)];
  let fromOld = first;
  let fromNew = first;
  for (const hash of rest) {
    if (sn === 0) throw new TransparencyError('proof-malformed', 'the proof is too long');
    if (fn % 2 === 1 || fn === sn) {
      fromOld = nodeHash(hash, fromOld);
      fromNew = nodeHash(hash, fromNew);
      while (fn % 2 === 0 && fn !== 0) [fn, sn] = [half(fn), half(sn)];
    } else {
      fromNew = nodeHash(fromNew, hash);
    }
    [fn, sn] = [half(fn), half(sn)];
  }
  if (sn !== 0) throw new TransparencyError('proof-malformed', 'the proof is too short');
  return [fromOld, fromNew];
}

function rootMismatch(oldSize: number, newSize: number): TransparencyError {
  return new TransparencyError('proof-root-mismatch', `the tree of ${newSize} does not extend the tree of ${oldSize}`);
}

function assertHash(hash: Hash, name: string): void {
  if (hash.length !== HASH_BYTES) {
    throw new TransparencyError('proof-malformed', `${name}: a hash has ${HASH_BYTES} bytes, not ${hash.length}`);
  }
}

function half(n: number): number {
  return Math.floor(n / 2);
}

function isPowerOfTwo(n: number): boolean {
  let rest = n;
  while (rest % 2 === 0) rest /= 2;
  return rest === 1;
}
