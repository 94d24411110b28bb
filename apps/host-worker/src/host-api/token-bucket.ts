/** Allows `burst` calls at once and `perSecond` in the long run. */
export class TokenBucket {
  #tokens: number;
  #at: number;

  constructor(
    private readonly burst: number,
    private readonly perSecond: number,
    private readonly monotonicMs: () => number,
  ) {
    this.#tokens = burst;
    this.#at = monotonicMs();
  }

  /** Takes `amount` tokens if they are there. */
  tryTake(amount = 1): boolean {
    const now = this.monotonicMs();
    this.#tokens = Math.min(this.burst, this.#tokens + ((now - this.#at) / 1000) * this.perSecond);
    this.#at = now;
    if (this.#tokens < amount) return false;
    this.#tokens -= amount;
    return true;
  }
}
