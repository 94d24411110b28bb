import type { BucketChange, KeyValueBucket } from '../fleet/key-value-bucket.js';

/** A key-value bucket in memory, with a hook that takes it away. */
export class MemoryBucket implements KeyValueBucket {
  readonly entries = new Map<string, string>();
  readonly #watchers = new Set<(change: BucketChange) => void>();
  /** While true, every request throws, as with a lost connection. */
  unavailable = false;
  /** How often something was stored or deleted. */
  writes = 0;

  /** `now` is the clock of the server that stores. */
  constructor(private readonly now: () => Date) {}

  async create(key: string, value: string): Promise<boolean> {
    this.#assertAvailable();
    if (this.entries.has(key)) return false;
    this.#store(key, value);
    return true;
  }

  async put(key: string, value: string): Promise<void> {
    this.#assertAvailable();
    this.#store(key, value);
  }

  async get(key: string): Promise<string | undefined> {
    this.#assertAvailable();
    return this.entries.get(key);
  }

  async delete(key: string): Promise<void> {
    this.#assertAvailable();
    this.#store(key, undefined);
  }

  /** Forgets everything without telling anybody but the watchers, as an operator with admin rights could. */
  drop(): void {
    for (const key of [...this.entries.keys()]) this.#store(key, undefined);
  }

  async *watch(signal: AbortSignal): AsyncGenerator<BucketChange | 'current'> {
    const queue: BucketChange[] = [];
    let wake = (): void => undefined;
    const take = (change: BucketChange): void => {
      queue.push(change);
      wake();
    };
    for (const [key, value] of this.entries) yield { key, value, storedAt: this.now(), isUpdate: false };
    this.#watchers.add(take);
    yield 'current';
    signal.addEventListener('abort', () => wake(), { once: true });
    try {
      while (!signal.aborted) {
        const next = queue.shift();
        if (next !== undefined) yield next;
        else {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      }
    } finally {
      this.#watchers.delete(take);
    }
  }

  #store(key: string, value: string | undefined): void {
    this.writes += 1;
    if (value === undefined) this.entries.delete(key);
    else this.entries.set(key, value);
    for (const watcher of this.#watchers) watcher({ key, value, storedAt: this.now(), isUpdate: true });
  }

  #assertAvailable(): void {
    if (this.unavailable) throw new Error('the bucket is not available');
  }
}
