import type { DesiredGuest } from '@vouch/domain';
import type { GuestStatus } from '../driver/guest-driver.js';
import type { GuestJournal } from '../journal/guest-journal.js';

/**
 * What should be. `unknown`: the desired state could not be read, or says nothing usable; a guest that runs is left alone
 * then. `gone`: the control plane took the guest away from this host.
 */
export type Wish =
  | { readonly kind: 'unknown' }
  | { readonly kind: 'gone' }
  /** This worker is being taken down together with its guests; the next one starts them again. */
  | { readonly kind: 'halt' }
  | { readonly kind: 'known'; readonly guest: DesiredGuest };

export type Action =
  | { readonly do: 'nothing' }
  /** Nothing until then, unless something changes. */
  | { readonly do: 'wait'; readonly untilMs: number }
  /** Take a new placement down in the journal. */
  | { readonly do: 'begin'; readonly guest: DesiredGuest }
  | { readonly do: 'launch' }
  | { readonly do: 'confirm-running' }
  /** `asked`: it never started, and should not; otherwise the journal knows whether the end was asked for. */
  | { readonly do: 'record-end'; readonly end: Extract<GuestStatus, { state: 'ended' }>; readonly asked: boolean }
  | { readonly do: 'stop'; readonly reason: string }
  | { readonly do: 'report-never-ran' }
  | { readonly do: 'remove' }
  /** Nothing is left to do or tell: drop the journal. */
  | { readonly do: 'forget' };

const LOST = { state: 'ended', exitCode: null, reason: 'the guest is gone', isFinal: false } as const;
const NEVER_STARTED = { state: 'ended', exitCode: null, reason: 'stopped before it ran', isFinal: false } as const;

/**
 * The reconciler's whole decision, from three facts and the time: what should be, what was written down, what is. Level
 * triggered: it looks at no history but the journal, and repeating it after any crash leads on from where things stand.
 * An older placement epoch is always ended and removed before a newer one begins; a newer one never yields to an older.
 */
export function nextAction(wish: Wish, journal: GuestJournal | undefined, status: GuestStatus, now: Date): Action {
  if (journal === undefined) return withoutJournal(wish);
  const settled = settle(wish, journal, status);
  if (settled !== undefined) return settled;
  const isLive = journal.launch !== null && journal.launch.state !== 'ended';
  switch (wish.kind) {
    case 'unknown':
      return { do: 'nothing' };
    case 'halt':
      return isLive ? stop('the host worker stops its guests') : { do: 'nothing' };
    case 'gone':
      return isLive ? stop('the instance was taken from this host') : remove(journal, true);
    case 'known':
      return towards(wish.guest, journal, isLive, now);
  }
}

function withoutJournal(wish: Wish): Action {
  return wish.kind === 'known' ? { do: 'begin', guest: wish.guest } : { do: 'nothing' };
}

/** First of all the journal catches up with what is. */
function settle(wish: Wish, { launch }: GuestJournal, status: GuestStatus): Action | undefined {
  if (launch === null || launch.state === 'ended') return undefined;
  if (launch.state === 'starting') {
    if (status.state !== 'absent') return { do: 'confirm-running' };
    const isWanted = wish.kind === 'unknown' || (wish.kind === 'known' && wish.guest.desired === 'running');
    return isWanted && !launch.endRequested ? undefined : { do: 'record-end', end: NEVER_STARTED, asked: true };
  }
  if (status.state === 'running') return undefined;
  return { do: 'record-end', end: status.state === 'ended' ? status : LOST, asked: false };
}

function towards(guest: DesiredGuest, journal: GuestJournal, isLive: boolean, now: Date): Action {
  const { epoch } = journal.spec;
  // A value older than what this worker has already begun is a late or stale read.
  if (guest.epoch < epoch) return { do: 'nothing' };
  if (guest.epoch > epoch) {
    return isLive ? stop(`placement epoch ${epoch} ended; ${guest.epoch} is in force`) : remove(journal, true);
  }
  switch (guest.desired) {
    case 'running':
      return towardsRunning(journal, now);
    case 'stopped':
      if (isLive) return stop('the instance was asked to stop');
      return journal.endReported || journal.removed ? { do: 'nothing' } : { do: 'report-never-ran' };
    case 'removed':
      return isLive ? stop('the instance was asked to be removed') : remove(journal, false);
  }
}

function towardsRunning({ launch, givenUp, notBefore, removed }: GuestJournal, now: Date): Action {
  if (removed || givenUp !== null || launch?.state === 'running') return { do: 'nothing' };
  const untilMs = notBefore === '' ? 0 : Date.parse(notBefore);
  return now.getTime() < untilMs ? { do: 'wait', untilMs } : { do: 'launch' };
}

function stop(reason: string): Action {
  return { do: 'stop', reason };
}

/** `thenForget`: nothing keeps the placement in force, so the journal goes once the log knows everything. */
function remove(journal: GuestJournal, thenForget: boolean): Action {
  if (!journal.removed) return { do: 'remove' };
  return thenForget && journal.events.length === 0 ? { do: 'forget' } : { do: 'nothing' };
}
