import { setTimeout as delay } from 'node:timers/promises';

/** Waiting time before attempt number `attempt` (1: the first repeat): doubles from `firstMs` up to `limitMs`. */
export function backOffMs(attempt: number, firstMs: number, limitMs: number): number {
  return Math.min(limitMs, firstMs * 2 ** Math.min(attempt - 1, 20));
}

/** Waits; returns early, without an error, when `signal` aborts. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  await delay(ms, undefined, { ...(signal === undefined ? {} : { signal }) }).catch((error: Error) => {
    if (error.name !== 'AbortError') throw error;
  });
}

/** True when the error says of itself that repeating can help; false when it says that it cannot; else undefined. */
export function saysRetryable(error: unknown): boolean | undefined {
  const value = (error as { retryable?: unknown } | null | undefined)?.retryable;
  return typeof value === 'boolean' ? value : undefined;
}

/** The thrown value as an Error. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(`not an Error was thrown: ${String(thrown)}`);
}
