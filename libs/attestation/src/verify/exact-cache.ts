import { equalBytes } from '../bytes.js';

/** What a cached value was established from, kept as a private copy. */
interface Entry<T> {
  readonly bytes: Uint8Array;
  readonly value: T;
}

/**
 * A bounded cache by exact bytes. The index only finds an entry quickly; a hit needs every byte to be equal, so that no
 * collision, chosen or not, can pass one input off as another. The least recently used entry leaves first.
 */
export class ExactCache<T> {
  private readonly entries = new Map<string, Entry<T>>();
  private newest = '';

  /** @param limit entries kept; 0 keeps nothing. */
  constructor(private readonly limit: number) {}

  find(index: string, bytes: Uint8Array): T | undefined {
    const entry = this.entries.get(index);
    if (entry === undefined || !equalBytes(entry.bytes, bytes)) return undefined;
    if (index !== this.newest) {
      this.entries.delete(index);
      this.entries.set(index, entry);
      this.newest = index;
    }
    return entry.value;
  }

  /** Keeps `value` for a copy of `bytes`; an entry of the same index gives way. */
  keep(index: string, bytes: Uint8Array, value: T): void {
    if (this.limit === 0) return;
    this.entries.delete(index);
    this.entries.set(index, { bytes: new Uint8Array(bytes), value });
    this.newest = index;
    if (this.entries.size <= this.limit) return;
    const [oldest] = this.entries.keys();
    if (oldest !== undefined) this.entries.delete(oldest);
  }

  /** Gives up every value that is `stale`. */
  forget(stale: (value: T) => boolean): void {
    for (const [index, { value }] of this.entries) if (stale(value)) this.entries.delete(index);
  }
}
