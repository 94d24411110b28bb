import type { KmsRoot } from './root-files.js';

/** Roots of a key epoch that the log names and this replica does not hold. An operator must bring the file; a retry helps then. */
class KeyEpochMissingError extends Error {
  readonly code = 'key-epoch-missing';
  readonly retryable = true;
  constructor(keyEpoch: number) {
    super(`this replica holds no root keys of key epoch ${keyEpoch}: copy root-epoch-${keyEpoch}.json from the others`);
    this.name = 'KeyEpochMissingError';
  }
}

/** Opens one epoch's root file; undefined when there is none. */
export type RootOpener = (keyEpoch: number) => Promise<KmsRoot | undefined>;

/** The opened roots of every key epoch this replica holds; later epochs are opened when the log first names them. */
export class Keyring {
  readonly #roots = new Map<number, KmsRoot>();
  readonly #opening = new Map<number, Promise<KmsRoot>>();

  constructor(
    roots: readonly KmsRoot[],
    private readonly open: RootOpener,
  ) {
    for (const root of roots) this.#roots.set(root.keyEpoch, root);
    if (!this.#roots.has(0)) throw new TypeError('a keyring holds epoch 0');
  }

  /** The first root: the KMS's name to the world. */
  get first(): KmsRoot {
    return this.held(0) as KmsRoot;
  }

  get roots(): readonly KmsRoot[] {
    return [...this.#roots.values()].sort((a, b) => a.keyEpoch - b.keyEpoch);
  }

  held(keyEpoch: number): KmsRoot | undefined {
    return this.#roots.get(keyEpoch);
  }

  /** Throws KeyEpochMissingError. */
  async root(keyEpoch: number): Promise<KmsRoot> {
    const held = this.#roots.get(keyEpoch);
    if (held !== undefined) return held;
    const opening = this.#opening.get(keyEpoch) ?? this.#open(keyEpoch);
    this.#opening.set(keyEpoch, opening);
    return await opening;
  }

  async #open(keyEpoch: number): Promise<KmsRoot> {
    try {
      const opened = await this.open(keyEpoch);
      if (opened === undefined) throw new KeyEpochMissingError(keyEpoch);
      this.#roots.set(keyEpoch, opened);
      return opened;
    } finally {
      this.#opening.delete(keyEpoch);
    }
  }

  wipe(): void {
    for (const { keys } of this.#roots.values()) keys.wipe();
  }
}
