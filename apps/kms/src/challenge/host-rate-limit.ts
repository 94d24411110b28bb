/** A host asked for more than its share. A retry can help, later. */
export class HostRateLimitedError extends Error {
  readonly code = 'rate-limited';
  readonly retryable = true;
  constructor(hostId: string) {
    super(`host ${hostId} asks too often`);
    this.name = 'HostRateLimitedError';
  }
}

export interface RateLimitOptions {
  /** Requests a host may make at once after a pause. */
  readonly burst: number;
  readonly perSecond: number;
  /** Never steps back. */
  readonly monotonicMs: () => number;
}

/** More hosts than this are never remembered at once; full buckets are forgotten first. */
const MAX_HOSTS = 10_000;

/** One token bucket per host, per replica: a host that misbehaves cannot take the KMS from the others. */
export class HostRateLimit {
  readonly #buckets = new Map<string, { tokens: number; at: number }>();

  constructor(private readonly options: RateLimitOptions) {}

  /** Takes one token of the host. Throws HostRateLimitedError when there is none. */
  take(hostId: string): void {
    const { burst, perSecond, monotonicMs } = this.options;
    const now = monotonicMs();
    const bucket = this.#buckets.get(hostId) ?? { tokens: burst, at: now };
    const tokens = Math.min(burst, bucket.tokens + ((now - bucket.at) / 1000) * perSecond);
    if (this.#buckets.size >= MAX_HOSTS) this.#forgetFull(now);
    if (tokens < 1) {
      this.#buckets.set(hostId, { tokens, at: now });
      throw new HostRateLimitedError(hostId);
    }
    this.#buckets.set(hostId, { tokens: tokens - 1, at: now });
  }

  #forgetFull(now: number): void {
    const { burst, perSecond } = this.options;
    for (const [hostId, { tokens, at }] of this.#buckets) {
      if (tokens + ((now - at) / 1000) * perSecond >= burst) this.#buckets.delete(hostId);
    }
  }
}
