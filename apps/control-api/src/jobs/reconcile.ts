import type { FleetFeed } from '../fleet/fleet-feed.js';
import type { OperationRunner } from '../fleet/operation-runner.js';
import type { OperationQueue } from './operation-queue.js';

/**
 * Brings back whatever was lost outside the log: entries of the buckets `desired` and `addresses`, and the deadline job
 * of every unfinished operation.
 */
export async function reconcile(
  feed: FleetFeed,
  runner: Pick<OperationRunner, 'reconcile'>,
  queue: Pick<OperationQueue, 'scheduleDeadline'>,
): Promise<void> {
  await runner.reconcile();
  for (const { operationId, deadline } of feed.view.unfinished()) {
    await queue.scheduleDeadline(operationId, new Date(deadline));
  }
}
