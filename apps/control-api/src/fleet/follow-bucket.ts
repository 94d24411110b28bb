import { asError, backOffMs, type FieldLogger, pause } from '@vouch/platform';
import type { BucketChange, KeyValueBucket } from './key-value-bucket.js';

/**
 * Watches a bucket until `signal` aborts, starting over when the watch ends. `handle` gets 'restarted' before the content
 * is delivered anew, so that it can forget what it knew.
 */
export async function followBucket(
  bucket: KeyValueBucket,
  signal: AbortSignal,
  logger: FieldLogger,
  handle: (change: BucketChange | 'current' | 'restarted') => void,
): Promise<void> {
  for (let attempt = 1; !signal.aborted; attempt += 1) {
    try {
      handle('restarted');
      for await (const change of bucket.watch(signal)) {
        attempt = 1;
        handle(change);
      }
    } catch (error) {
      logger.warn({ err: asError(error) }, 'a bucket cannot be watched; trying again');
    }
    await pause(backOffMs(attempt, 100, 5_000), signal);
  }
}
