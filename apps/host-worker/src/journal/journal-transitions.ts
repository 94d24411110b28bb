import { deterministicEventId } from '@vouch/platform';
import type { GuestSpec, GuestStatus } from '../driver/guest-driver.js';
import type { GuestJournal, PendingEvent } from './guest-journal.js';

/** Unrequested ends in a row after which a guest is not started again. */
export const MAX_EXITS = 5;
/** Failed attempts to start in a row after which no further one is made. */
const MAX_LAUNCH_FAILURES = 8;
/** A guest that ran this long before it ended starts its failure count anew, in milliseconds. */
const SETTLED_MS = 10 * 60_000;
const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 60_000;
const MAX_REASON_CHARS = 2000;

/** What a transition needs of the world, as values. */
export interface Now {
  readonly at: Date;
}

type Ended = Extract<GuestStatus, { state: 'ended' }>;

export function begin(spec: GuestSpec): GuestJournal {
  return {
    version: 1,
    spec,
    launch: null,
    failures: 0,
    notBefore: '',
    givenUp: null,
    endReported: false,
    removed: false,
    events: [],
  };
}

/** Before the driver is asked: a new launch id, or the one that was written when an earlier try did not get further. */
export function starting(journal: GuestJournal, newId: string): GuestJournal {
  if (journal.launch?.state === 'starting') return journal;
  return { ...journal, launch: { id: newId, state: 'starting', since: '', endRequested: false }, notBefore: '' };
}

/** The driver shows the launch running (or already over): it did start. */
export function running(
  journal: GuestJournal,
  hostId: string,
  driver: { readonly name: 'process' | 'qemu'; readonly unsafe: readonly string[] },
  { at }: Now,
): GuestJournal {
  const { launch, spec } = journal;
  if (launch === null) return journal;
  const event: PendingEvent = {
    id: eventId(journal, hostId, 'launched', launch.id),
    type: 'vm.launched',
    data: { ...place(journal, hostId), driver: driver.name, address: spec.address, unsafe: [...driver.unsafe] },
  };
  return withEvents({ ...journal, launch: { ...launch, state: 'running', since: at.toISOString() } }, [event]);
}

/** Before the driver is asked to stop it: an exit from here on was wanted. */
export function endRequested(journal: GuestJournal): GuestJournal {
  return journal.launch === null ? journal : { ...journal, launch: { ...journal.launch, endRequested: true } };
}

/** The launch is over. An unrequested end counts against the guest and delays or ends its next start. */
export function ended(journal: GuestJournal, hostId: string, end: Ended, now: Now): GuestJournal {
  const { launch } = journal;
  if (launch === null) return journal;
  const exited: PendingEvent = {
    id: eventId(journal, hostId, 'exited', launch.id),
    type: 'vm.exited',
    data: {
      ...place(journal, hostId),
      exitCode: end.exitCode,
      reason: end.reason.slice(0, MAX_REASON_CHARS),
      requested: launch.endRequested,
    },
  };
  const over: GuestJournal = withEvents({ ...journal, launch: { ...launch, state: 'ended' }, endReported: true }, [
    exited,
  ]);
  if (launch.endRequested) return { ...over, failures: 0, notBefore: '' };
  if (end.isFinal) return { ...over, givenUp: { code: 'guest-ended', reason: end.reason } };
  const ranMs = launch.since === '' ? 0 : now.at.getTime() - Date.parse(launch.since);
  const failures = ranMs >= SETTLED_MS ? 1 : journal.failures + 1;
  if (failures < MAX_EXITS) return { ...over, failures, notBefore: after(now, failures) };
  return gaveUp({ ...over, failures }, hostId, 'crash-loop', `ended ${failures} times in a row, last: ${end.reason}`);
}

/** The driver could not start it. */
export function launchFailed(
  journal: GuestJournal,
  hostId: string,
  failure: { readonly code: string; readonly reason: string; readonly retryable: boolean },
  now: Now,
): GuestJournal {
  const failures = journal.failures + 1;
  const tried = { ...journal, failures, launch: journal.launch && { ...journal.launch } };
  if (failure.retryable && failures < MAX_LAUNCH_FAILURES) return { ...tried, notBefore: after(now, failures) };
  return gaveUp({ ...tried, launch: null }, hostId, failure.code, failure.reason);
}

/** Nothing of it ever ran, and nothing should: the log is told once, so that whoever asked for the stop gets an answer. */
export function neverRan(journal: GuestJournal, hostId: string): GuestJournal {
  const event: PendingEvent = {
    id: eventId(journal, hostId, 'never-ran'),
    type: 'vm.exited',
    data: { ...place(journal, hostId), exitCode: null, reason: 'stopped before it ran', requested: true },
  };
  return withEvents({ ...journal, endReported: true, launch: null }, [event]);
}

export function removed(journal: GuestJournal, hostId: string): GuestJournal {
  const event: PendingEvent = {
    id: eventId(journal, hostId, 'removed'),
    type: 'vm.removed',
    data: place(journal, hostId),
  };
  return withEvents({ ...journal, removed: true, launch: null }, [event]);
}

/** The log has the event. */
export function told(journal: GuestJournal, eventId: string): GuestJournal {
  return { ...journal, events: journal.events.filter(({ id }) => id !== eventId) };
}

function gaveUp(journal: GuestJournal, hostId: string, code: string, text: string): GuestJournal {
  const reason = text.slice(0, MAX_REASON_CHARS);
  const event: PendingEvent = {
    id: eventId(journal, hostId, 'launch-failed'),
    type: 'vm.launch-failed',
    data: { ...place(journal, hostId), code, reason },
  };
  return withEvents({ ...journal, givenUp: { code, reason }, notBefore: '' }, [event]);
}

function withEvents(journal: GuestJournal, events: readonly PendingEvent[]): GuestJournal {
  const fresh = events.filter(({ id }) => !journal.events.some((pending) => pending.id === id));
  return { ...journal, events: [...journal.events, ...fresh] };
}

function place({ spec }: GuestJournal, hostId: string): { hostId: string; instanceId: string; epoch: number } {
  return { hostId, instanceId: spec.instanceId, epoch: spec.epoch };
}

/** One id per fact: the same fact written again, by this worker or the next, is the same event. */
function eventId({ spec }: GuestJournal, hostId: string, ...fact: readonly string[]): string {
  return deterministicEventId('vm', hostId, spec.instanceId, spec.epoch, ...fact);
}

function after({ at }: Now, failures: number): string {
  const waitMs = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (failures - 1));
  return new Date(at.getTime() + waitMs).toISOString();
}
