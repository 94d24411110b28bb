import { EMPTY_ROOT, HASH_BYTES, type Hash, leafHash, nodeHash } from './hash.js';
import { assertCount, type NodeId, perfectSubtrees, type StoredNode } from './node-id.js';
import { TransparencyError } from './transparency-error.js';

/**
 * The right edge of a growing tree: the hashes of the perfect subtrees that cover all leaves, largest first (at most 53
 * hashes). An append costs O(1) amortised hashes and yields every perfect node it completed, so that the caller can
 * store them and later prove anything in O(log n) reads.
 */
export class CompactRange {
  #size: number;
  readonly #edge: StoredNode[];

  private constructor(size: number, edge: StoredNode[]) {
    this.#size = size;
    this.#edge = edge;
  }

  static empty(): CompactRange {
    return new CompactRange(0, []);
  }

  /** Ids of the nodes {@link restore} needs for a tree of `size` leaves, largest first. */
  static nodesOf(size: number): NodeId[] {
    assertCount(size, 'size');
    return perfectSubtrees(0, size);
  }

  /** Continues a tree of `size` leaves from the stored hashes of {@link nodesOf}, in that order. */
  static restore(size: number, hashes: readonly Hash[]): CompactRange {
    const ids = CompactRange.nodesOf(size);
    if (ids.length !== hashes.length) {
      throw new TransparencyError('tree-range-invalid', `${ids.length} nodes are needed, ${hashes.length} were given`);
    }
    const edge = ids.map((id, i): StoredNode => {
      const hash = hashes[i];
      if (hash === undefined || hash.length !== HASH_BYTES) {
        throw new TransparencyError('tree-range-invalid', `node ${id.level}/${id.index} is not ${HASH_BYTES} bytes`);
      }
      return { ...id, hash };
    });
    return new CompactRange(size, edge);
  }

  /** Number of leaves. */
  get size(): number {
    return this.#size;
  }

  /** Appends the next leaf and returns the perfect nodes it completed: the leaf itself first, then upwards. */
  append(leaf: Hash): StoredNode[] {
    if (leaf.length !== HASH_BYTES) {
      throw new TransparencyError('tree-range-invalid', `a leaf hash has ${HASH_BYTES} bytes, not ${leaf.length}`);
    }
    let node: StoredNode = { level: 0, index: this.#size, hash: leaf };
    const completed = [node];
    for (let left = this.#edge.at(-1); left !== undefined && left.level === node.level; left = this.#edge.at(-1)) {
      this.#edge.pop();
      node = { level: node.level + 1, index: left.index / 2, hash: nodeHash(left.hash, node.hash) };
      completed.push(node);
    }
    this.#edge.push(node);
    this.#size += 1;
    return completed;
  }

  /** {@link append} of an entry's bytes. */
  appendEntry(entry: Uint8Array): StoredNode[] {
    return this.append(leafHash(entry));
  }

  /** Merkle tree hash of all leaves so far (RFC 6962 §2.1). */
  root(): Hash {
    return this.#edge.length === 0 ? EMPTY_ROOT : foldRight(this.#edge.map((node) => node.hash));
  }

  /** An independent copy: appending to one does not change the other. */
  clone(): CompactRange {
    return new CompactRange(this.#size, [...this.#edge]);
  }
}

/** Hash of the tree whose perfect subtrees, left to right, are `hashes`: the right ones are joined first. */
export function foldRight(hashes: readonly Hash[]): Hash {
  if (hashes.length === 0) throw new TransparencyError('tree-range-invalid', 'nothing to fold');
  return hashes.reduceRight((right, left) => nodeHash(left, right));
}
