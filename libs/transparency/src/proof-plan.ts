import { foldRight } from './compact-range.js';
import type { Hash } from './hash.js';
import { assertCount, type NodeId, nodeKey, perfectSubtrees, splitPoint } from './node-id.js';
import { TransparencyError } from './transparency-error.js';

/**
 * Which stored nodes make up a proof. Each proof hash is one group: the perfect subtrees, left to right, whose fold is
 * that hash. All groups but those at the right edge hold a single node; a plan names O(log n) nodes in all.
 */
export type ProofPlan = readonly (readonly NodeId[])[];

/** Audit path of leaf `index` in the tree of the first `size` leaves (RFC 6962 §2.1.1), lowest sibling first. */
export function inclusionPlan(index: number, size: number): ProofPlan {
  assertCount(index, 'index');
  assertCount(size, 'size');
  if (index >= size) throw new TransparencyError('tree-range-invalid', `leaf ${index} is not in a tree of ${size}`);
  const plan: NodeId[][] = [];
  let begin = 0;
  let end = size;
  while (end - begin > 1) {
    const middle = begin + splitPoint(end - begin);
    if (index < middle) {
      plan.unshift(perfectSubtrees(middle, end));
      end = middle;
    } else {
      plan.unshift(perfectSubtrees(begin, middle));
      begin = middle;
    }
  }
  return plan;
}

/** Proof that the tree of `oldSize` leaves is a prefix of the tree of `newSize` leaves (RFC 6962 §2.1.2). */
export function consistencyPlan(oldSize: number, newSize: number): ProofPlan {
  assertCount(oldSize, 'oldSize');
  assertCount(newSize, 'newSize');
  if (oldSize > newSize) throw new TransparencyError('tree-range-invalid', `${oldSize} is larger than ${newSize}`);
  if (oldSize === 0 || oldSize === newSize) return [];
  const plan: NodeId[][] = [];
  let begin = 0;
  let end = newSize;
  // The old root itself is only needed when the old tree is not a subtree the new tree is cut into from the left.
  while (end !== oldSize) {
    const middle = begin + splitPoint(end - begin);
    if (oldSize <= middle) {
      plan.unshift(perfectSubtrees(middle, end));
      end = middle;
    } else {
      plan.unshift(perfectSubtrees(begin, middle));
      begin = middle;
    }
  }
  if (begin > 0) plan.unshift(perfectSubtrees(begin, end));
  return plan;
}

/** Fetches stored nodes: a map from {@link nodeKey} to hash. A node that is missing makes the proof fail. */
export type NodeReader = (ids: readonly NodeId[]) => Promise<ReadonlyMap<string, Hash>>;

/** Audit path of leaf `index` in the tree of `size` leaves, lowest sibling first, from O(log n) stored nodes. */
export async function inclusionProof(index: number, size: number, readNodes: NodeReader): Promise<Hash[]> {
  const plan = inclusionPlan(index, size);
  return resolvePlan(plan, await readNodes(plan.flat()));
}

/** Consistency proof between two sizes, from O(log n) stored nodes. */
export async function consistencyProof(oldSize: number, newSize: number, readNodes: NodeReader): Promise<Hash[]> {
  const plan = consistencyPlan(oldSize, newSize);
  return resolvePlan(plan, await readNodes(plan.flat()));
}

/** Turns fetched nodes into proof hashes. `nodes` maps {@link nodeKey} to the hash. */
export function resolvePlan(plan: ProofPlan, nodes: ReadonlyMap<string, Hash>): Hash[] {
  return plan.map((group) =>
    foldRight(
      group.map((id) => {
        const hash = nodes.get(nodeKey(id));
        if (hash === undefined) throw new TransparencyError('tree-range-invalid', `node ${nodeKey(id)} is missing`);
        return hash;
      }),
    ),
  );
}
