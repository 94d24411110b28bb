import { CompactRange, foldRight } from './compact-range.js';
import { EMPTY_ROOT, type Hash, leafHash } from './hash.js';
import { nodeKey, perfectSubtrees } from './node-id.js';
import { consistencyPlan, inclusionPlan, resolvePlan } from './proof-plan.js';

/** A whole tree in memory, for tests, small logs and offline checks: 2n hashes of 32 bytes. */
export class MemoryTree {
  readonly #range = CompactRange.empty();
  readonly #nodes = new Map<string, Hash>();

  get size(): number {
    return this.#range.size;
  }

  /** Appends the leaf hash of `entry` and returns its index. */
  append(entry: Uint8Array): number {
    for (const node of this.#range.append(leafHash(entry))) this.#nodes.set(nodeKey(node), node.hash);
    return this.#range.size - 1;
  }

  /** Root over the first `size` leaves (default: all). */
  root(size: number = this.size): Hash {
    if (size === 0) return EMPTY_ROOT;
    const [root] = resolvePlan([perfectSubtrees(0, size)], this.#nodes);
    return root ?? foldRight([]);
  }

  /** Audit path of leaf `index` in the tree of the first `size` leaves, lowest sibling first. */
  inclusionProof(index: number, size: number = this.size): Hash[] {
    return resolvePlan(inclusionPlan(index, size), this.#nodes);
  }

  consistencyProof(oldSize: number, newSize: number = this.size): Hash[] {
    return resolvePlan(consistencyPlan(oldSize, newSize), this.#nodes);
  }
}
