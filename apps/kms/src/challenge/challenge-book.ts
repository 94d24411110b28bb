import { randomBytes } from 'node:crypto';
import { z } from 'zod';

/** What a challenge was given for: a guest of one instance on one host in one epoch. */
export interface ChallengePlace {
  readonly hostId: string;
  readonly instanceId: string;
  readonly epoch: number;
}

export interface IssuedChallenge {
  /** 32 random bytes, hex. */
  readonly challenge: string;
  /** ISO 8601, milliseconds. */
  readonly expiresAt: string;
}

export type ChallengeUse = { readonly ok: true } | { readonly ok: false; readonly reason: string };

/** A table with compare-and-swap that all replicas share. Throws errors with `retryable: true` while it is away. */
export interface ChallengeTable {
  /** Stores a value under a key that must be new. */
  create(key: string, value: string): Promise<void>;
  get(key: string): Promise<{ readonly value: string; readonly revision: number } | undefined>;
  /** False when the entry is no longer at `revision`. */
  replace(key: string, value: string, revision: number): Promise<boolean>;
}

/** How long a guest may take from asking for a challenge to the use of it, in milliseconds. */
export const CHALLENGE_LIFE_MS = 60_000;

const MAX_RACES = 8;

const entrySchema = z.strictObject({
  hostId: z.string(),
  instanceId: z.string(),
  epoch: z.number().int(),
  expiresAt: z.iso.datetime({ precision: 3 }),
  /** Id of the request that used it; null while it is unused. */
  usedBy: z.string().nullable(),
});

/** The table could not settle who uses a challenge: too many at once. A retry can help. */
class ChallengeContendedError extends Error {
  readonly code = 'challenge-contended';
  readonly retryable = true;
  constructor() {
    super('the challenge is being used by too many requests at once');
    this.name = 'ChallengeContendedError';
  }
}

/**
 * Single-use challenges. Which request used one is part of its entry and is settled by compare-and-swap, so that a
 * challenge serves one request across replicas and restarts, while that one request may be decided again after a crash.
 */
export class ChallengeBook {
  constructor(
    private readonly table: ChallengeTable,
    private readonly now: () => Date,
  ) {}

  async issue(place: ChallengePlace): Promise<IssuedChallenge> {
    const challenge = randomBytes(32).toString('hex');
    const expiresAt = new Date(this.now().getTime() + CHALLENGE_LIFE_MS).toISOString();
    const { hostId, instanceId, epoch } = place;
    await this.table.create(challenge, JSON.stringify({ hostId, instanceId, epoch, expiresAt, usedBy: null }));
    return { challenge, expiresAt };
  }

  /** Marks the challenge as used by this request. `challenge`: 64 hex digits. */
  async use(challenge: string, place: ChallengePlace, requestId: string): Promise<ChallengeUse> {
    for (let race = 0; race < MAX_RACES; race += 1) {
      const found = await this.table.get(challenge);
      if (found === undefined) return refuse('the challenge is unknown, or expired long ago');
      const entry = entrySchema.parse(JSON.parse(found.value));
      if (entry.usedBy === requestId) return { ok: true };
      if (entry.usedBy !== null) return refuse('the challenge was used by another request');
      if (entry.hostId !== place.hostId || entry.instanceId !== place.instanceId || entry.epoch !== place.epoch) {
        return refuse('the challenge was given to another host, instance or epoch');
      }
      if (this.now() > new Date(entry.expiresAt)) return refuse(`the challenge expired at ${entry.expiresAt}`);
      const used = JSON.stringify({ ...entry, usedBy: requestId });
      if (await this.table.replace(challenge, used, found.revision)) return { ok: true };
    }
    throw new ChallengeContendedError();
  }
}

function refuse(reason: string): ChallengeUse {
  return { ok: false, reason };
}
