import { JetStreamApiError, jetstream } from '@nats-io/jetstream';
import { type KV, Kvm } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/transport-node';
import type { ChallengeTable } from './challenge-book.js';

/** The bus did not answer about a challenge. A retry can help. */
class ChallengesUnavailableError extends Error {
  readonly code = 'challenges-unavailable';
  readonly retryable = true;
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ChallengesUnavailableError';
  }
}

/** JetStream API error: the last sequence of the key is not the expected one. */
const WRONG_LAST_SEQUENCE = 10071;

/** Challenges in the KV bucket `challenges`, which forgets them after a few minutes. */
export class KvChallengeTable implements ChallengeTable {
  #bucket: Promise<KV> | undefined;

  constructor(private readonly connection: NatsConnection) {}

  async create(key: string, value: string): Promise<void> {
    await this.#ask(async (bucket) => {
      await bucket.create(key, value);
    });
  }

  async get(key: string): Promise<{ readonly value: string; readonly revision: number } | undefined> {
    return await this.#ask(async (bucket) => {
      const entry = await bucket.get(key);
      if (entry === null || entry.operation !== 'PUT') return undefined;
      return { value: entry.string(), revision: entry.revision };
    });
  }

  async replace(key: string, value: string, revision: number): Promise<boolean> {
    return await this.#ask(async (bucket) => {
      try {
        await bucket.update(key, value, revision);
        return true;
      } catch (error) {
        if (error instanceof JetStreamApiError && error.apiError().err_code === WRONG_LAST_SEQUENCE) return false;
        throw error;
      }
    });
  }

  async #ask<T>(request: (bucket: KV) => Promise<T>): Promise<T> {
    try {
      this.#bucket ??= new Kvm(jetstream(this.connection)).open('challenges');
      return await request(await this.#bucket);
    } catch (cause) {
      this.#bucket = undefined;
      throw new ChallengesUnavailableError(`the challenges bucket does not answer: ${(cause as Error).message}`, {
        cause,
      });
    }
  }
}
