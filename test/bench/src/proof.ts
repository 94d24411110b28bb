import { hash } from 'node:crypto';
import {
  consistencyProof,
  type Hash,
  inclusionProof,
  leafHash,
  type NodeId,
  nodeKey,
  rootOfInclusion,
  verifyInclusion,
} from '@vouch/transparency';
import { type Bench, type BenchResult, interleaved, median } from './harness.js';

const MILLION = 1_000_000;
const ROUNDS = 5;
const PROOFS_PER_ROUND = 2_000;
const HASH_BYTES = 32;

/** Inclusion and consistency proofs per second and their size, in trees of 1 M and 10 M leaves. */
export const proofBench: Bench = {
  name: 'proof',
  summary: 'inclusion and consistency proofs/s and their size at 1 M and 10 M leaves',
  run: async (say): Promise<BenchResult> => {
    const [small, large] = [new FlatTree(MILLION), new FlatTree(10 * MILLION)];
    say('the trees are built');
    const rounds = await interleaved(
      ROUNDS,
      {
        inclusion1M: () => perSecond(() => small.inclusion()),
        inclusion10M: () => perSecond(() => large.inclusion()),
        consistency1M: () => perSecond(() => small.consistency()),
        consistency10M: () => perSecond(() => large.consistency()),
        verify10M: () => large.verifyPerSecond(),
      },
      say,
    );
    const [bytes1M, bytes10M] = [(await small.inclusion(7)).length, (await large.inclusion(7)).length];
    return {
      metrics: {
        inclusionPerSecond1M: median(rounds.inclusion1M),
        inclusionPerSecond10M: median(rounds.inclusion10M),
        consistencyPerSecond1M: median(rounds.consistency1M),
        consistencyPerSecond10M: median(rounds.consistency10M),
        verifyPerSecond10M: median(rounds.verify10M),
        inclusionBytes1M: bytes1M * HASH_BYTES,
        inclusionBytes10M: bytes10M * HASH_BYTES,
      },
      peers: { log2Leaves1M: Math.log2(MILLION), log2Leaves10M: Math.log2(10 * MILLION) },
      ratios: { growthOfSize: bytes10M / bytes1M, growthOfLog: Math.log2(10 * MILLION) / Math.log2(MILLION) },
    };
  },
};

async function perSecond(once: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  for (let count = 0; count < PROOFS_PER_ROUND; count += 1) await once();
  return PROOFS_PER_ROUND / ((performance.now() - began) / 1000);
}

/** All perfect subtrees of a tree of numbered leaves, level by level in flat memory. */
class FlatTree {
  readonly #levels: Buffer[] = [];
  #turn = 0;

  constructor(readonly size: number) {
    let level = Buffer.alloc(size * HASH_BYTES);
    for (let index = 0; index < size; index += 1) level.set(leafHash(Buffer.from(String(index))), index * HASH_BYTES);
    this.#levels.push(level);
    const pair = Buffer.alloc(1 + 2 * HASH_BYTES, 1);
    for (let count = Math.floor(size / 2); count > 0; count = Math.floor(count / 2)) {
      const next = Buffer.alloc(count * HASH_BYTES);
      for (let index = 0; index < count; index += 1) {
        level.copy(pair, 1, 2 * index * HASH_BYTES, 2 * (index + 1) * HASH_BYTES);
        next.set(hash('sha256', pair, 'buffer'), index * HASH_BYTES);
      }
      this.#levels.push(next);
      level = next;
    }
  }

  readonly #read = async (ids: readonly NodeId[]): Promise<ReadonlyMap<string, Hash>> =>
    new Map(ids.map((id) => [nodeKey(id), this.#node(id)]));

  #node({ level, index }: NodeId): Hash {
    return (this.#levels[level] ?? Buffer.alloc(0)).subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES);
  }

  /** Leaves spread over the tree, the same ones in every run. */
  #next(): number {
    this.#turn = (this.#turn + 7_919_317) % this.size;
    return this.#turn;
  }

  inclusion(index = this.#next()): Promise<Hash[]> {
    return inclusionProof(index, this.size, this.#read);
  }

  consistency(): Promise<Hash[]> {
    return consistencyProof(1 + this.#next(), this.size, this.#read);
  }

  async verifyPerSecond(): Promise<number> {
    const index = this.#next();
    const path = await this.inclusion(index);
    const root = await this.#root();
    const began = performance.now();
    for (let count = 0; count < PROOFS_PER_ROUND; count += 1) {
      verifyInclusion({ index, size: this.size, leaf: this.#node({ level: 0, index }), path, root });
    }
    return PROOFS_PER_ROUND / ((performance.now() - began) / 1000);
  }

  /** From the path of the last leaf. */
  async #root(): Promise<Hash> {
    const index = this.size - 1;
    return rootOfInclusion({
      index,
      size: this.size,
      leaf: this.#node({ level: 0, index }),
      path: await this.inclusion(index),
    });
  }
}
