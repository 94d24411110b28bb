import { setTimeout as sleep } from 'node:timers/promises';
import { type AuthoredEvent, EventRejectedError, type KeyDirectory } from '@vouch/domain';
import type { AppendOutcome } from '../event-store.js';
import { EventStoreUnavailableError } from '../event-store-errors.js';
import { openStored, type RawStoredMessage } from '../stored-event.js';
import { type LogApi, throwIfForbidden } from './log-api.js';
import type { SubjectReader } from './subject-reader.js';

export interface AppendLimits {
  /** After this many ms without a settled outcome the append gives up. */
  readonly deadlineMs: number;
}

/** Where an append is published. */
export type AppendTarget = Pick<LogApi, 'publish'> & { readonly connection: { isClosed(): boolean } };

const FIRST_PAUSE_MS = 25;
const LONGEST_PAUSE_MS = 1_000;

/**
 * Publishes one event and settles what became of it. Any error or time-out is ambiguous: servers answer differently by
 * version and while a leader is missing (eventing §3), and a lost acknowledgement looks like a lost event. So the log
 * itself is asked, whatever the error was:
 *
 *   last event of the subject is mine           -> success, a duplicate
 *   it is another's, above the expected position -> conflict, unless mine stands right at the expected position and the
 *                                                  others followed it
 *   there is none above the expected position   -> publish again, with a growing pause, until the deadline
 *
 * The broker's dedupe window is not used: it answers differently by version and forgets after two minutes.
 */
export async function appendEvent(
  api: AppendTarget,
  reader: SubjectReader,
  directory: KeyDirectory,
  event: AuthoredEvent,
  expectedLastSeq: number,
  limits: AppendLimits,
): Promise<AppendOutcome> {
  const { subject } = event.envelope;
  const deadline = performance.now() + limits.deadlineMs;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    let failure: unknown;
    try {
      return { ok: true, seq: await api.publish(subject, event.bytes, expectedLastSeq), duplicate: false };
    } catch (error) {
      throwIfForbidden(error);
      failure = error;
    }
    try {
      const settled = await settle(reader, directory, event, expectedLastSeq);
      if (settled !== undefined) return settled;
    } catch (error) {
      throwIfForbidden(error);
      if (error instanceof EventRejectedError) throw error;
      failure = error;
    }
    if (api.connection.isClosed() || performance.now() + pauseMs >= deadline) {
      throw new EventStoreUnavailableError(
        `${subject}: could not be appended within ${limits.deadlineMs} ms; it may or may not be stored`,
        { cause: failure },
      );
    }
    await sleep(pauseMs);
  }
}

async function settle(
  reader: SubjectReader,
  directory: KeyDirectory,
  event: AuthoredEvent,
  expectedLastSeq: number,
): Promise<AppendOutcome | undefined> {
  const { subject } = event.envelope;
  const last = await reader.last(subject);
  if (last === undefined || last.seq <= expectedLastSeq) return undefined;
  if (isMine(last, directory, event)) return { ok: true, seq: last.seq, duplicate: true };
  // Only one event can stand at the expected position. If it is mine, the ones after it do not undo it.
  const first = await reader.firstAfter(subject, expectedLastSeq);
  if (first !== undefined && isMine(first, directory, event)) return { ok: true, seq: first.seq, duplicate: true };
  return { ok: false, code: 'conflict', lastSeq: last.seq };
}

function isMine(message: RawStoredMessage, directory: KeyDirectory, event: AuthoredEvent): boolean {
  return openStored(message, directory).envelope.id === event.envelope.id;
}
