import { desiredGuestSchema, eventCatalog } from '@vouch/domain';
import { z } from 'zod';

/** An event that must reach the log: its id is fixed before the first try, so any number of tries store it once. */
const pendingEventSchema = z.discriminatedUnion('type', [
  z.strictObject({ id: z.uuid(), type: z.literal('vm.launched'), data: eventCatalog['vm.launched'].data }),
  z.strictObject({ id: z.uuid(), type: z.literal('vm.launch-failed'), data: eventCatalog['vm.launch-failed'].data }),
  z.strictObject({ id: z.uuid(), type: z.literal('vm.exited'), data: eventCatalog['vm.exited'].data }),
  z.strictObject({ id: z.uuid(), type: z.literal('vm.removed'), data: eventCatalog['vm.removed'].data }),
]);

const launchRecordSchema = z.strictObject({
  id: z.string().regex(/^[0-9a-f]{32}$/),
  /** `starting`: written before anything is started; what really happened is for the driver to say. */
  state: z.enum(['starting', 'running', 'ended']),
  /** When it was seen running, ISO 8601; empty before. */
  since: z.string(),
  /** True once its end was asked for: then the exit is no failure. */
  endRequested: z.boolean(),
});

/**
 * What the worker must remember of one guest over its own death: which placement it serves, which launch is the current
 * one, how often it failed, and what the log has not been told yet. One file per guest, replaced atomically.
 */
export const guestJournalSchema = z.strictObject({
  version: z.literal(1),
  spec: desiredGuestSchema.omit({ desired: true }),
  launch: launchRecordSchema.nullable(),
  /** Unrequested ends and failed starts in a row. */
  failures: z.number().int().nonnegative(),
  /** No start before this time, ISO 8601; empty: at once. */
  notBefore: z.string(),
  /** Set when no further start is tried in this placement. */
  givenUp: z.strictObject({ code: z.string(), reason: z.string() }).nullable(),
  /** True once the log was told that a guest that never ran does not run. */
  endReported: z.boolean(),
  removed: z.boolean(),
  events: z.array(pendingEventSchema),
});

export type PendingEvent = z.infer<typeof pendingEventSchema>;
export type GuestJournal = z.infer<typeof guestJournalSchema>;
