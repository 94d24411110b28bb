import { JetStreamApiCodes, JetStreamApiError } from '@nats-io/jetstream';
import { type KV, Kvm, type KvWatchEntry, KvWatchInclude } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/transport-node';
import type { BucketName } from '@vouch/eventstore';
import type { BucketChange, KeyValueBucket } from './key-value-bucket.js';

/** A bucket made by the migration step. */
export class NatsBucket implements KeyValueBucket {
  #opening: Promise<KV> | undefined;

  constructor(
    private readonly connection: NatsConnection,
    private readonly name: BucketName,
  ) {}

  async create(key: string, value: string): Promise<boolean> {
    const bucket = await this.#open();
    try {
      await bucket.create(key, value);
      return true;
    } catch (error) {
      if (isWrongSequence(error)) return false;
      throw error;
    }
  }

  async put(key: string, value: string): Promise<void> {
    await (await this.#open()).put(key, value);
  }

  async get(key: string): Promise<string | undefined> {
    const entry = await (await this.#open()).get(key);
    return entry === null || entry.operation !== 'PUT' ? undefined : entry.string();
  }

  async delete(key: string): Promise<void> {
    await (await this.#open()).delete(key);
  }

  async *watch(signal: AbortSignal): AsyncGenerator<BucketChange | 'current'> {
    const bucket = await this.#open();
    const { values: initialCount } = await bucket.status();
    const entries = await bucket.watch({ include: KvWatchInclude.LastValue });
    const stop = (): void => entries.stop();
    signal.addEventListener('abort', stop, { once: true });
    try {
      if (signal.aborted) return;
      let seen = 0;
      if (initialCount === 0) yield 'current';
      for await (const entry of entries) {
        seen += 1;
        yield changeOf(entry, seen > initialCount);
        if (seen === initialCount) yield 'current';
      }
    } finally {
      signal.removeEventListener('abort', stop);
      entries.stop();
    }
  }

  async #open(): Promise<KV> {
    this.#opening ??= new Kvm(this.connection).open(this.name).catch((error: unknown) => {
      this.#opening = undefined;
      throw error;
    });
    return await this.#opening;
  }
}

function changeOf(entry: KvWatchEntry, isUpdate: boolean): BucketChange {
  const { key, created, operation } = entry;
  return { key, value: operation === 'PUT' ? entry.string() : undefined, storedAt: created, isUpdate };
}

function isWrongSequence(error: unknown): boolean {
  return (
    error instanceof JetStreamApiError &&
    (error.code === JetStreamApiCodes.StreamWrongLastSequence ||
      error.code === JetStreamApiCodes.StreamWrongLastSequenceUnknown)
  );
}
