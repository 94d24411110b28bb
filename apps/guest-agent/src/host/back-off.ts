import { setTimeout as sleep } from 'node:timers/promises';
import { UnixRequestError } from './unix-json.js';

const FIRST_MS = 100;
const LONGEST_MS = 5_000;

/** Waits that double from 100 ms to 5 s; `reset` after something worked. */
export class BackOff {
  #nextMs = FIRST_MS;

  constructor(private readonly signal: AbortSignal) {}

  async wait(): Promise<void> {
    const waitMs = this.#nextMs;
    this.#nextMs = Math.min(waitMs * 2, LONGEST_MS);
    await sleep(waitMs, undefined, { signal: this.signal });
  }

  reset(): void {
    this.#nextMs = FIRST_MS;
  }
}

/**
 * Repeats `attempt` while it fails with a retryable UnixRequestError (a restarting worker, simulator or KMS), for as long
 * as the agent runs; `onFailure` hears about each. Other errors pass.
 */
export async function persist<T>(
  attempt: () => Promise<T>,
  signal: AbortSignal,
  onFailure: (error: UnixRequestError) => void,
): Promise<T> {
  const backOff = new BackOff(signal);
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof UnixRequestError && error.retryable)) throw error;
      onFailure(error);
      await backOff.wait();
    }
  }
}
