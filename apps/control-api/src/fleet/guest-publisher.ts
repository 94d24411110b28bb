import { createHash } from 'node:crypto';
import { addressFree, canonicalJson, desiredEntryOf, type FleetView } from '@vouch/domain';
import type { FieldLogger } from '@vouch/platform';
import type { AddressBook } from './address-book.js';
import { followBucket } from './follow-bucket.js';
import type { KeyValueBucket } from './key-value-bucket.js';
import { KeysByInstance } from './keys-by-instance.js';

/**
 * Keeps the buckets `desired` and `addresses` equal to what the fleet view says. It compares with what is there (both are
 * watched), so that nothing is remembered, and content that was lost or changed by another hand is written again.
 */
export class GuestPublisher {
  /** Keys of `desired` with the SHA-256 of their values. */
  readonly #published = new KeysByInstance();
  /** Claimed addresses. */
  readonly #claimed = new KeysByInstance();
  readonly #dirty = new Set<string>();
  readonly #abort = new AbortController();
  readonly #current = { desired: false, addresses: false };
  #watching: Promise<unknown> | undefined;

  constructor(
    private readonly view: FleetView,
    private readonly desired: KeyValueBucket,
    private readonly addresses: KeyValueBucket,
    private readonly book: AddressBook,
    private readonly logger: FieldLogger,
  ) {}

  /** `onDrift` is called when the buckets may differ from the view for a reason that is not in the log. */
  start(onDrift: () => void): void {
    const { signal } = this.#abort;
    this.#watching ??= Promise.all([
      this.#watch('desired', onDrift, signal, (key, value) => {
        this.#published.set(key.split('.')[1] ?? '', key, digestOf(value));
      }),
      this.#watch('addresses', onDrift, signal, (address, instanceId) => {
        this.#claimed.set(instanceId, address, instanceId);
      }),
    ]);
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#watching;
  }

  /** Says that the instance's entry may have to change. */
  touch(instanceId: string): void {
    this.#dirty.add(instanceId);
  }

  /** Says that any entry may have to change: after a start, a lost bucket, or as a matter of routine. */
  touchAll(): void {
    for (const { state } of this.view.instances()) if (state.status === 'created') this.#dirty.add(state.instanceId);
  }

  /** Writes what differs. Throws what the bus throws; what was not written stays to be done. */
  async publish(): Promise<void> {
    if (!this.#current.desired || !this.#current.addresses) return;
    for (const instanceId of [...this.#dirty]) {
      this.#dirty.delete(instanceId);
      try {
        await this.#publishOne(instanceId);
      } catch (error) {
        this.#dirty.add(instanceId);
        throw error;
      }
    }
  }

  async #publishOne(instanceId: string): Promise<void> {
    const entry = desiredEntryOf(this.view, instanceId);
    for (const [key] of this.#published.of(instanceId)) {
      if (key === entry?.key) continue;
      await this.desired.delete(key);
      this.#published.delete(key);
    }
    if (entry !== undefined) {
      const value = canonicalJson(entry.guest);
      if (this.#published.of(instanceId).get(entry.key) !== digestOf(value)) {
        await this.desired.put(entry.key, value);
        this.#published.set(instanceId, entry.key, digestOf(value));
      }
    }
    if (!addressFree(this.view, instanceId)) return;
    for (const [address] of this.#claimed.of(instanceId)) {
      await this.book.release(address, instanceId);
      this.#claimed.delete(address);
    }
  }

  #watch(
    name: 'desired' | 'addresses',
    onDrift: () => void,
    signal: AbortSignal,
    learn: (key: string, value: string) => void,
  ): Promise<void> {
    const [bucket, known] = name === 'desired' ? [this.desired, this.#published] : [this.addresses, this.#claimed];
    return followBucket(bucket, signal, this.logger, (change) => {
      if (change === 'restarted') {
        this.#current[name] = false;
        known.clear();
      } else if (change === 'current') {
        this.#current[name] = true;
        this.touchAll();
        onDrift();
      } else if (change.value === undefined) known.delete(change.key);
      else learn(change.key, change.value);
    });
  }
}

function digestOf(value: string): string {
  return createHash('sha256').update(value).digest('hex');
}
