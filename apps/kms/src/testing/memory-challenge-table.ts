import type { ChallengeTable } from '../challenge/challenge-book.js';

/** The challenges bucket in memory: one table that several books may share, as replicas do. */
export class MemoryChallengeTable implements ChallengeTable {
  readonly entries = new Map<string, { value: string; revision: number }>();
  #revision = 0;

  async create(key: string, value: string): Promise<void> {
    if (this.entries.has(key)) throw new TypeError(`key ${key} exists`);
    this.#revision += 1;
    this.entries.set(key, { value, revision: this.#revision });
  }

  async get(key: string): Promise<{ readonly value: string; readonly revision: number } | undefined> {
    return this.entries.get(key);
  }

  async replace(key: string, value: string, revision: number): Promise<boolean> {
    if (this.entries.get(key)?.revision !== revision) return false;
    this.#revision += 1;
    this.entries.set(key, { value, revision: this.#revision });
    return true;
  }
}
