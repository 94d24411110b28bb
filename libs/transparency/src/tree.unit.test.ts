import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CompactRange } from './compact-range.js';
import { EMPTY_ROOT, type Hash, leafHash, nodeHash } from './hash.js';
import { MemoryTree } from './memory-tree.js';
import { nodeKey } from './node-id.js';
import { consistencyProof, inclusionProof } from './proof-plan.js';
import { verifyConsistency, verifyInclusion } from './verify-proof.js';

const hex = (hash: Uint8Array) => Buffer.from(hash).toString('hex');
const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'hex'));

/** Leaves, roots and proofs of the certificate-transparency reference tests (merkle_tree_test). */
const LEAVES = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'];
const ROOTS = [
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];
const A = '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7';
const B = '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e';
const C = '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4';
const D = 'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b';
const E = 'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0';
const F = '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a';
const [R1, R2, , R4] = ROOTS;
const INCLUSION = [
  { index: 0, size: 1, path: [] },
  { index: 0, size: 8, path: [A, B, C] },
  { index: 5, size: 8, path: [D, E, R4] },
  { index: 2, size: 3, path: [R2] },
  { index: 1, size: 5, path: [R1, B, D] },
];
const CONSISTENCY = [
  { oldSize: 1, newSize: 1, proof: [] },
  { oldSize: 1, newSize: 8, proof: [A, B, C] },
  { oldSize: 6, newSize: 8, proof: [F, E, R4] },
  { oldSize: 2, newSize: 5, proof: [B, D] },
];

function treeOf(entries: readonly Uint8Array[]): MemoryTree {
  const tree = new MemoryTree();
  for (const entry of entries) tree.append(entry);
  return tree;
}

/** The recursive definition of RFC 6962 §2.1, as slow as it is clear. */
function definedRoot(entries: readonly Uint8Array[]): Hash {
  const [only] = entries;
  if (only === undefined) return EMPTY_ROOT;
  if (entries.length === 1) return leafHash(only);
  let k = 1;
  while (k * 2 < entries.length) k *= 2;
  return nodeHash(definedRoot(entries.slice(0, k)), definedRoot(entries.slice(k)));
}

const entriesArbitrary = (max: number) => fc.array(fc.uint8Array({ maxLength: 8 }), { minLength: 1, maxLength: max });

describe('published certificate-transparency vectors', () => {
  const tree = treeOf(LEAVES.map(bytes));

  it('has the published roots', () => {
    expect(hex(EMPTY_ROOT)).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
    expect(ROOTS.map((_, i) => hex(tree.root(i + 1)))).toEqual(ROOTS);
  });

  it.each(INCLUSION)('has the published path of leaf $index in $size', ({ index, size, path }) => {
    expect(tree.inclusionProof(index, size).map(hex)).toEqual(path);
  });

  it.each(CONSISTENCY)('has the published consistency proof $oldSize to $newSize', ({ oldSize, newSize, proof }) => {
    expect(tree.consistencyProof(oldSize, newSize).map(hex)).toEqual(proof);
  });
});

describe('compact range', () => {
  it('has the root of the definition at every size and can be continued from stored nodes', () => {
    fc.assert(
      fc.property(entriesArbitrary(70), fc.nat(), (entries, pick) => {
        const stop = pick % (entries.length + 1);
        const stored = new Map<string, Hash>();
        const first = CompactRange.empty();
        for (const entry of entries.slice(0, stop)) {
          for (const node of first.appendEntry(entry)) stored.set(nodeKey(node), node.hash);
        }
        const hashes = CompactRange.nodesOf(stop).map((id) => stored.get(nodeKey(id)) ?? EMPTY_ROOT);
        const second = CompactRange.restore(stop, hashes);
        for (const entry of entries.slice(stop)) second.appendEntry(entry);
        expect(hex(first.root())).toBe(hex(definedRoot(entries.slice(0, stop))));
        expect(hex(second.root())).toBe(hex(definedRoot(entries)));
        expect(second.size).toBe(entries.length);
      }),
    );
  });

  it('completes each node once: fewer than two per leaf', () => {
    const range = CompactRange.empty();
    const seen = new Set<string>();
    let nodes = 0;
    for (let i = 0; i < 1000; i += 1) {
      for (const node of range.append(leafHash(Uint8Array.of(i % 256)))) {
        seen.add(nodeKey(node));
        nodes += 1;
      }
    }
    expect(seen.size).toBe(nodes);
    expect(nodes).toBeLessThan(2000);
  });

  it('leaves a clone alone', () => {
    const range = CompactRange.empty();
    range.appendEntry(bytes('00'));
    const clone = range.clone();
    range.appendEntry(bytes('01'));
    expect(clone.size).toBe(1);
    expect(hex(clone.root())).toBe(hex(leafHash(bytes('00'))));
  });

  it('refuses a wrong number or length of hashes', () => {
    expect(() => CompactRange.restore(3, [EMPTY_ROOT])).toThrow(/2 nodes/);
    expect(() => CompactRange.restore(1, [new Uint8Array(31)])).toThrow(/32 bytes/);
    expect(() => CompactRange.restore(-1, [])).toThrow(/non-negative/);
  });
});

describe('proofs', () => {
  it('every leaf of every size verifies, and no other leaf, index, size, root or path does', () => {
    const tree = treeOf(Array.from({ length: 33 }, (_, i) => Uint8Array.of(i)));
    for (let size = 1; size <= tree.size; size += 1) {
      for (let index = 0; index < size; index += 1) {
        const claim = {
          index,
          size,
          leaf: leafHash(Uint8Array.of(index)),
          path: tree.inclusionProof(index, size),
          root: tree.root(size),
        };
        verifyInclusion(claim);
        expect(() => verifyInclusion({ ...claim, leaf: leafHash(Uint8Array.of(99)) })).toThrow(/not under/);
        expect(() => verifyInclusion({ ...claim, root: tree.root(size - 1) })).toThrow();
        if (size > 1) expect(() => verifyInclusion({ ...claim, index: (index + 1) % size })).toThrow();
        if (size > 1) expect(() => verifyInclusion({ ...claim, path: claim.path.slice(1) })).toThrow();
        expect(() => verifyInclusion({ ...claim, path: [...claim.path, EMPTY_ROOT] })).toThrow(/too long/);
      }
    }
  });

  it('every pair of sizes is consistent, and every changed hash is refused', () => {
    const tree = treeOf(Array.from({ length: 33 }, (_, i) => Uint8Array.of(i)));
    for (let newSize = 0; newSize <= tree.size; newSize += 1) {
      for (let oldSize = 0; oldSize <= newSize; oldSize += 1) {
        const proof = tree.consistencyProof(oldSize, newSize);
        const claim = { oldSize, newSize, oldRoot: tree.root(oldSize), newRoot: tree.root(newSize), proof };
        verifyConsistency(claim);
        expect(() => verifyConsistency({ ...claim, oldRoot: leafHash(Uint8Array.of(77)) })).toThrow();
        expect(() => verifyConsistency({ ...claim, proof: [...proof, EMPTY_ROOT] })).toThrow();
        if (proof.length > 0) expect(() => verifyConsistency({ ...claim, proof: proof.slice(1) })).toThrow();
        if (oldSize > 0) expect(() => verifyConsistency({ ...claim, newRoot: leafHash(Uint8Array.of(77)) })).toThrow();
      }
    }
  });

  it('a tree with one changed old leaf is never consistent with the old root', () => {
    fc.assert(
      fc.property(entriesArbitrary(40), fc.nat(), fc.nat(), (entries, pickOld, pickLeaf) => {
        const oldSize = 1 + (pickOld % entries.length);
        const changed = entries.map((entry, i) => (i === pickLeaf % oldSize ? Uint8Array.of(...entry, 1) : entry));
        const [honest, forged] = [treeOf(entries), treeOf(changed)];
        expect(() =>
          verifyConsistency({
            oldSize,
            newSize: entries.length,
            oldRoot: honest.root(oldSize),
            newRoot: forged.root(),
            proof: forged.consistencyProof(oldSize),
          }),
        ).toThrow();
      }),
    );
  });

  it('refuses any flipped bit in leaf, path or root', () => {
    const tree = treeOf(LEAVES.map(bytes));
    const flip = (hash: Hash, bit: number) => hash.map((byte, i) => (i === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));
    fc.assert(
      fc.property(fc.nat(6), fc.nat(255), fc.nat(4), (index, bit, part) => {
        const claim = { index, size: 7, leaf: leafHash(bytes(LEAVES[index] ?? '')), root: tree.root(7) };
        const path = tree.inclusionProof(index, 7);
        const mutated =
          part === 0
            ? { ...claim, path, leaf: flip(claim.leaf, bit) }
            : part === 1
              ? { ...claim, path, root: flip(claim.root, bit) }
              : { ...claim, path: path.map((hash, i) => (i === part % path.length ? flip(hash, bit) : hash)) };
        verifyInclusion({ ...claim, path });
        expect(() => verifyInclusion(mutated)).toThrow();
      }),
    );
  });

  it('reads O(log n) stored nodes', async () => {
    const size = 1_000_003;
    let read = 0;
    const reader = async (ids: readonly { level: number; index: number }[]) => {
      read += ids.length;
      return new Map(ids.map((id) => [nodeKey(id), EMPTY_ROOT]));
    };
    expect((await inclusionProof(123_456, size, reader)).length).toBeLessThanOrEqual(20);
    expect((await consistencyProof(777_777, size, reader)).length).toBeLessThanOrEqual(21);
    expect(read).toBeLessThan(80);
  });

  it('a missing stored node is an error, not a wrong proof', async () => {
    await expect(inclusionProof(0, 4, async () => new Map())).rejects.toThrow(/missing/);
    await expect(inclusionProof(4, 4, async () => new Map())).rejects.toThrow(/not in a tree/);
    await expect(consistencyProof(5, 4, async () => new Map())).rejects.toThrow(/larger/);
  });
});
