import { composeHashOf, type DesiredGuest } from '@vouch/domain';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { GuestStatus } from '../driver/guest-driver.js';
import type { GuestJournal } from '../journal/guest-journal.js';
import * as transition from '../journal/journal-transitions.js';
import { type Action, nextAction, type Wish } from './next-action.js';

const HOST = 'host-1';
const DRIVER = { name: 'process', unsafe: ['unsafeProcessGuest'] } as const;
const START = new Date('2026-01-01T00:00:00.000Z');
const now = { at: START };
const absent: GuestStatus = { state: 'absent' };
const isRunning: GuestStatus = { state: 'running' };
const crashed = { state: 'ended', exitCode: 1, reason: 'crashed', isFinal: false } as const;
const denied = { state: 'ended', exitCode: 3, reason: 'denied', isFinal: true } as const;

function guest(desired: DesiredGuest['desired'], epoch = 1): DesiredGuest {
  const appCompose = '{"name":"x"}';
  return {
    instanceId: 'a'.repeat(40),
    appId: 'b'.repeat(40),
    releaseId: 'c'.repeat(32),
    epoch,
    desired,
    appCompose,
    composeHash: composeHashOf(Buffer.from(appCompose)),
    seed: 'd'.repeat(40),
    address: '127.0.1.2',
    ports: [80],
    resources: { vcpu: 1, memoryMiB: 512, diskGiB: 1 },
    encryptedEnv: '',
  };
}

const wish = (desired: DesiredGuest['desired'], epoch = 1): Wish => ({ kind: 'known', guest: guest(desired, epoch) });
const gone: Wish = { kind: 'gone' };
const unknown: Wish = { kind: 'unknown' };

function specOf({ desired: _desired, ...spec }: DesiredGuest) {
  return spec;
}

const fresh = transition.begin(specOf(guest('running')));
const starting = transition.starting(fresh, '1'.repeat(32));
const running = transition.running(starting, HOST, DRIVER, now);
const flushed = (journal: GuestJournal): GuestJournal => ({ ...journal, events: [] });
const stopped = flushed(transition.ended(transition.endRequested(running), HOST, crashed, now));
const removed = flushed(transition.removed(stopped, HOST));
const gaveUp = flushed(transition.ended(running, HOST, denied, now));

const act = (w: Wish, journal: GuestJournal | undefined, status: GuestStatus = absent) =>
  nextAction(w, journal, status, START).do;

describe('the next step', () => {
  test.each<[string, Wish, GuestJournal | undefined, GuestStatus, Action['do']]>([
    ['a new placement is written down first', wish('running'), undefined, absent, 'begin'],
    ['then it is launched', wish('running'), fresh, absent, 'launch'],
    ['a launch written down but never made is made', wish('running'), starting, absent, 'launch'],
    ['a launch made but not written down is adopted', wish('running'), starting, isRunning, 'confirm-running'],
    ['one that ran and ended meanwhile is seen as both', wish('running'), starting, crashed, 'confirm-running'],
    ['a running guest is left alone', wish('running'), running, isRunning, 'nothing'],
    ['a crash is recorded', wish('running'), running, crashed, 'record-end'],
    ['a guest without a trace is recorded as ended', wish('running'), running, absent, 'record-end'],
    ['a stop is carried out', wish('stopped'), running, isRunning, 'stop'],
    ['stopped stays stopped', wish('stopped'), stopped, absent, 'nothing'],
    ['stopped before it ran: the log is told', wish('stopped'), fresh, absent, 'report-never-ran'],
    ['stopped while starting, before it ran: recorded as ended', wish('stopped'), starting, absent, 'record-end'],
    [
      'stopped while starting, but it runs: confirmed, then stopped',
      wish('stopped'),
      starting,
      isRunning,
      'confirm-running',
    ],
    ['removal stops first', wish('removed'), running, isRunning, 'stop'],
    ['then removes', wish('removed'), stopped, absent, 'remove'],
    ['then waits for the entry to go', wish('removed'), removed, absent, 'nothing'],
    ['and forgets', gone, removed, absent, 'forget'],
    ['a removal of what never was here is answered too', wish('removed'), fresh, absent, 'remove'],
    ['gone while running: stop', gone, running, isRunning, 'stop'],
    ['gone while stopped: remove', gone, stopped, absent, 'remove'],
    ['gone and never known: nothing', gone, undefined, absent, 'nothing'],
    ['unknown wishes leave a running guest alone', unknown, running, isRunning, 'nothing'],
    ['and record its end', unknown, running, crashed, 'record-end'],
    ['but start nothing', unknown, fresh, absent, 'nothing'],
    ['and restart nothing', unknown, stopped, absent, 'nothing'],
    ['a newer epoch ends the older guest', wish('running', 2), running, isRunning, 'stop'],
    ['removes it', wish('running', 2), stopped, absent, 'remove'],
    ['and begins anew when it is forgotten', wish('running', 2), removed, absent, 'forget'],
    [
      'a stale older epoch changes nothing',
      wish('stopped', 1),
      { ...running, spec: specOf(guest('running', 2)) },
      isRunning,
      'nothing',
    ],
    ['a given-up guest is not started', wish('running'), gaveUp, absent, 'nothing'],
    ['halting stops', { kind: 'halt' }, running, isRunning, 'stop'],
    ['halting starts nothing', { kind: 'halt' }, stopped, absent, 'nothing'],
    ['a guest stopped with its worker is started again', wish('running'), stopped, absent, 'launch'],
  ])('%s', (_name, w, journal, status, expected) => {
    expect(act(w, journal, status)).toBe(expected);
  });

  test('a removed guest is forgotten only when the log knows of its removal', () => {
    expect(act(gone, transition.removed(stopped, HOST))).toBe('nothing');
  });

  test('after a crash the next start waits, longer each time', () => {
    const once = transition.ended(running, HOST, crashed, now);
    expect(nextAction(wish('running'), once, absent, START)).toEqual({ do: 'wait', untilMs: START.getTime() + 1000 });
    const again = transition.running(transition.starting(once, '2'.repeat(32)), HOST, DRIVER, now);
    const twice = transition.ended(again, HOST, crashed, now);
    expect(nextAction(wish('running'), twice, absent, START)).toEqual({ do: 'wait', untilMs: START.getTime() + 2000 });
    expect(nextAction(wish('running'), twice, absent, new Date(START.getTime() + 2000))).toEqual({ do: 'launch' });
  });
});

describe('transitions', () => {
  test('crashes in a row end in crash-loop, told once', () => {
    let journal = fresh;
    for (let n = 0; n < transition.MAX_EXITS; n += 1) {
      journal = transition.running(transition.starting(journal, `${n}`.repeat(32)), HOST, DRIVER, now);
      journal = transition.ended(journal, HOST, crashed, now);
    }
    expect(journal.givenUp).toMatchObject({ code: 'crash-loop' });
    expect(journal.events.filter(({ type }) => type === 'vm.launch-failed')).toHaveLength(1);
    expect(act(wish('running'), journal)).toBe('nothing');
  });

  test('a guest that ran for long before it crashed counts anew', () => {
    const late = { at: new Date(START.getTime() + 11 * 60_000) };
    const journal = transition.ended({ ...running, failures: 4 }, HOST, crashed, late);
    expect(journal.failures).toBe(1);
    expect(journal.givenUp).toBeNull();
  });

  test('a start that cannot succeed is given up at once; another is tried again with the same launch id', () => {
    const failure = { code: 'simulator-unavailable', reason: 'x', retryable: true };
    const again = transition.launchFailed(starting, HOST, failure, now);
    expect(again).toMatchObject({ failures: 1, givenUp: null });
    expect(transition.starting(again, '9'.repeat(32)).launch?.id).toBe('1'.repeat(32));
    const final = transition.launchFailed(starting, HOST, { ...failure, retryable: false }, now);
    expect(final.givenUp).toMatchObject({ code: 'simulator-unavailable' });
    expect(final.events.map(({ type }) => type)).toEqual(['vm.launch-failed']);
  });

  test('an asked-for end is no failure', () => {
    expect(stopped).toMatchObject({ failures: 0, notBefore: '', givenUp: null });
  });

  test('the same fact has the same id, whoever writes it', () => {
    const other = transition.running(starting, HOST, DRIVER, { at: new Date() });
    expect(other.events.map(({ id }) => id)).toEqual(running.events.map(({ id }) => id));
    expect(transition.running(running, HOST, DRIVER, now).events).toHaveLength(1);
  });
});

/** A host whose worker may be killed between any two effects; the driver's guests live on. */
class ModelHost {
  journal: GuestJournal | undefined;
  /** Launch id of the guest that runs, as the driver knows it. */
  alive: string | undefined;
  exitOf = new Map<string, typeof crashed | typeof denied>();
  at = START.getTime();
  launches = 0;
  log = new Map<string, { type: string; epoch: number }>();
  wish: Wish = unknown;

  status(): GuestStatus {
    const launch = this.journal?.launch;
    if (launch === null || launch === undefined) return absent;
    if (this.alive === launch.id) return isRunning;
    return this.exitOf.get(launch.id) ?? absent;
  }

  /** One step; `killAt` cuts it after that many effects. */
  step(killAt: number): boolean {
    let effects = 0;
    const effect = (change: () => void): void => {
      if (effects < killAt) change();
      effects += 1;
    };
    const action = nextAction(this.wish, this.journal, this.status(), new Date(this.at));
    const clock = { at: new Date(this.at) };
    const update = (change: (journal: GuestJournal) => GuestJournal) =>
      effect(() => {
        if (this.journal !== undefined) this.journal = change(this.journal);
      });
    switch (action.do) {
      case 'nothing':
        this.flush();
        return nextAction(this.wish, this.journal, this.status(), clock.at).do !== 'nothing';
      case 'wait':
        this.at = action.untilMs;
        return true;
      case 'begin':
        effect(() => this.kill());
        effect(() => {
          this.journal = transition.begin(specOf(action.guest));
        });
        return true;
      case 'launch': {
        this.launches += 1;
        const id = this.launches.toString(16).padStart(32, '0');
        update((journal) => transition.starting(journal, id));
        effect(() => {
          if (this.alive !== undefined && this.alive !== this.journal?.launch?.id)
            throw new Error('two guests at once');
          this.alive = this.journal?.launch?.id;
        });
        update((journal) => transition.running(journal, HOST, DRIVER, clock));
        return true;
      }
      case 'confirm-running':
        update((journal) => transition.running(journal, HOST, DRIVER, clock));
        return true;
      case 'record-end':
        update((journal) =>
          transition.ended(action.asked ? transition.endRequested(journal) : journal, HOST, action.end, clock),
        );
        return true;
      case 'stop':
        update(transition.endRequested);
        effect(() => this.kill());
        return true;
      case 'report-never-ran':
        update((journal) => transition.neverRan(journal, HOST));
        return true;
      case 'remove':
        effect(() => this.kill());
        update((journal) => transition.removed(journal, HOST));
        return true;
      case 'forget':
        effect(() => {
          this.journal = undefined;
        });
        return true;
    }
  }

  flush(): void {
    for (const { id, type, data } of this.journal?.events ?? []) this.log.set(id, { type, epoch: data.epoch });
    if (this.journal !== undefined) this.journal = { ...this.journal, events: [] };
  }

  kill(): void {
    if (this.alive !== undefined) this.exitOf.set(this.alive, crashed);
    this.alive = undefined;
  }
}

describe('whatever happens in between', () => {
  const happening = fc.oneof(
    fc.record({ kind: fc.constant('wish' as const), desired: fc.constantFrom('running', 'stopped', 'removed') }),
    fc.record({ kind: fc.constantFrom('gone', 'unknown', 'crash', 'deny', 'move', 'flush', 'settle') }),
    fc.record({ kind: fc.constant('step' as const), killAt: fc.integer({ min: 0, max: 3 }) }),
  );

  test('never two guests, and the end is what was wished last', () => {
    fc.assert(
      fc.property(
        fc.array(happening, { maxLength: 40 }),
        fc.constantFrom('running', 'removed', 'gone'),
        (events, last) => {
          const host = new ModelHost();
          let epoch = 1;
          for (const event of events) {
            if (event.kind === 'wish') host.wish = wish(event.desired as DesiredGuest['desired'], epoch);
            else if (event.kind === 'step') host.step((event as { killAt: number }).killAt);
            else if (event.kind === 'gone') host.wish = gone;
            else if (event.kind === 'unknown') host.wish = unknown;
            else if (event.kind === 'flush') host.flush();
            else if (event.kind === 'move') epoch += 1;
            else if (event.kind === 'settle') for (let n = 0; n < 60 && host.step(9); n += 1);
            else if (host.alive !== undefined) {
              host.exitOf.set(host.alive, event.kind === 'deny' ? denied : crashed);
              host.alive = undefined;
            }
          }
          // A new epoch, so that a guest given up on does not hide the answer.
          epoch += 1;
          host.wish = last === 'gone' ? gone : wish(last as 'running' | 'removed', epoch);
          for (let n = 0; n < 200 && host.step(9); n += 1);
          host.flush();
          if (last === 'running') {
            expect(host.alive).toBeDefined();
            expect(host.journal).toMatchObject({ spec: { epoch }, launch: { state: 'running' } });
          } else {
            expect(host.alive).toBeUndefined();
            if (last === 'gone') expect(host.journal).toBeUndefined();
          }
          const launched = [...host.log.values()].filter(({ type }) => type === 'vm.launched').length;
          const ended = [...host.log.values()].filter(({ type }) => type === 'vm.exited').length;
          expect(launched).toBeLessThanOrEqual(ended + 1);
        },
      ),
      { numRuns: 500 },
    );
  });
});
