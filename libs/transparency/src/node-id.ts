import type { Hash } from './hash.js';
import { TransparencyError } from './transparency-error.js';

/**
 * A perfect subtree: it covers the leaves [index * 2^level, (index + 1) * 2^level). Level 0 are the leaf hashes.
 * Only perfect subtrees are ever stored, because their hashes never change when the tree grows.
 */
export interface NodeId {
  readonly level: number;
  readonly index: number;
}

export interface StoredNode extends NodeId {
  readonly hash: Hash;
}

/** Text form of a node id, `level/index`: a map key. */
export function nodeKey(id: NodeId): string {
  return `${id.level}/${id.index}`;
}

/** Throws `tree-range-invalid` unless `value` is an integer in [0, 2^53). */
export function assertCount(value: number, name: string): void {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new TransparencyError('tree-range-invalid', `${name}: ${value} is not a non-negative safe integer`);
  }
}

/**
 * The perfect subtrees that together cover the leaves [begin, end), left to right, for ranges the RFC 6962 tree itself
 * is cut into: `begin` is a multiple of the largest power of two that is at most `end - begin`.
 */
export function perfectSubtrees(begin: number, end: number): NodeId[] {
  const found: NodeId[] = [];
  let at = begin;
  while (at < end) {
    const level = floorLog2(end - at);
    const width = 2 ** level;
    found.push({ level, index: at / width });
    at += width;
  }
  return found;
}

/** Largest k with 2^k <= n, for n >= 1 below 2^53. */
function floorLog2(n: number): number {
  let level = 0;
  while (2 ** (level + 1) <= n) level += 1;
  return level;
}

/** Largest power of two strictly smaller than n, for n >= 2: where RFC 6962 splits a tree of n leaves. */
export function splitPoint(n: number): number {
  return 2 ** floorLog2(n - 1);
}
