import { createHash, randomInt } from 'node:crypto';

/**
 * A repeatable stream of random-looking bytes: SHA-256 in counter mode over a seed. Not for secrets. Print `seed` when a
 * test that uses it fails.
 */
export class SeededRandom {
  #counter = 0;
  #left = Buffer.alloc(0);

  constructor(readonly seed: number | string = randomInt(2 ** 32)) {}

  bytes(size: number): Uint8Array {
    while (this.#left.length < size) {
      const block = createHash('sha256').update(`${this.seed}:${this.#counter}`).digest();
      this.#counter += 1;
      this.#left = Buffer.concat([this.#left, block]);
    }
    const taken = Uint8Array.from(this.#left.subarray(0, size));
    this.#left = this.#left.subarray(size);
    return taken;
  }

  /** Lower-case hex of `size` bytes. */
  hex(size: number): string {
    return Buffer.from(this.bytes(size)).toString('hex');
  }

  /** A version 4 UUID. */
  readonly uuid = (): string => {
    const hex = this.hex(16);
    const variant = '89ab'[Number.parseInt(hex.slice(16, 17), 16) % 4];
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20)}`;
  };

  /** A whole number from 0 up to, not including, `limit` (at most 2^31). */
  below(limit: number): number {
    return Buffer.from(this.bytes(6)).readUIntBE(0, 6) % limit;
  }
}
