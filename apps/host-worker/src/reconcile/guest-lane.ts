import { randomBytes } from 'node:crypto';
import { asError, type Clock, type FieldLogger, saysRetryable } from '@vouch/platform';
import type { GuestDriver, GuestStatus } from '../driver/guest-driver.js';
import type { EventOutbox } from '../journal/event-outbox.js';
import type { JournalStore } from '../journal/journal-store.js';
import * as transition from '../journal/journal-transitions.js';
import { type Action, nextAction, type Wish } from './next-action.js';

/** Pause after a step that failed in a way nobody foresaw. */
const TROUBLE_WAIT_MS = 2000;

/** What surrounds a guest while it runs: host API and log shipping. All calls are idempotent. */
export interface GuestSurroundings {
  open(instanceId: string): Promise<void>;
  close(instanceId: string): Promise<void>;
  /** The guest and its folder are going away: nothing of them may be held. */
  forget(instanceId: string): Promise<void>;
}

export interface LaneParts {
  readonly hostId: string;
  readonly driver: GuestDriver;
  readonly journals: JournalStore;
  readonly outbox: EventOutbox;
  readonly surroundings: GuestSurroundings;
  readonly clock: Clock;
  readonly logger: FieldLogger;
  /** How long a guest may take to end by itself, in milliseconds. */
  readonly stopGraceMs: number;
  wishFor(instanceId: string): Wish;
}

/**
 * Brings one guest to what is wished, one step at a time: decide (pure), act, write down, decide again. All steps of an
 * instance go through its one lane, which is why it can never be started twice.
 */
export class GuestLane {
  #isRunning = false;
  #isDirty = false;
  #timer: NodeJS.Timeout | undefined;
  #idle: Promise<void> = Promise.resolve();
  #isClosed = false;
  /** False until this worker has opened the surroundings of a guest that another one may have started. */
  #isOpen = false;

  constructor(
    readonly instanceId: string,
    private readonly parts: LaneParts,
  ) {}

  /** Something may have changed. */
  poke(): void {
    if (this.#isClosed) return;
    this.#isDirty = true;
    if (!this.#isRunning) this.#idle = this.#run();
  }

  /** Takes no more steps; resolves when the one in hand is done. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#idle;
  }

  /** Resolves when there is nothing to do now. */
  async settled(): Promise<void> {
    await this.#idle;
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    clearTimeout(this.#timer);
    try {
      while (this.#isDirty && !this.#isClosed) {
        this.#isDirty = false;
        const action = await this.#decide();
        if (action.do === 'nothing') continue;
        if (action.do === 'wait') {
          this.#wakeIn(action.untilMs - this.parts.clock.now().getTime());
          continue;
        }
        this.#isDirty = true;
        await this.#act(action);
      }
    } catch (error) {
      this.parts.logger.error({ instanceId: this.instanceId, err: asError(error) }, 'a step of a guest failed');
      this.#wakeIn(TROUBLE_WAIT_MS);
    } finally {
      this.#isRunning = false;
    }
  }

  #wakeIn(ms: number): void {
    if (this.#isClosed) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.poke(), Math.max(1, ms));
  }

  async #decide(): Promise<Action> {
    const { journals, clock } = this.parts;
    const journal = journals.get(this.instanceId);
    const status = await this.#status();
    if (status.state === 'running') await this.#open();
    return nextAction(this.parts.wishFor(this.instanceId), journal, status, clock.now());
  }

  async #status(): Promise<GuestStatus> {
    const journal = this.parts.journals.get(this.instanceId);
    if (journal === undefined || journal.launch === null || journal.launch.state === 'ended')
      return { state: 'absent' };
    return await this.parts.driver.status({ id: journal.launch.id, spec: journal.spec });
  }

  async #act(action: Exclude<Action, { do: 'nothing' } | { do: 'wait' }>): Promise<void> {
    const { instanceId } = this;
    const { journals, driver, hostId, clock, logger, surroundings } = this.parts;
    if (action.do !== 'launch') logger.info({ instanceId, step: action.do }, 'guest step');
    switch (action.do) {
      case 'begin': {
        const { desired: _desired, ...spec } = action.guest;
        // A guest no journal knows of would be one nobody can stop by its launch: nothing may run before the first.
        await driver.stop(instanceId, { graceMs: 0 });
        await journals.put(instanceId, transition.begin(spec));
        break;
      }
      case 'launch':
        await this.#launch();
        break;
      case 'confirm-running':
        await this.#open();
        await this.#update((journal) => transition.running(journal, hostId, driver, { at: clock.now() }));
        break;
      case 'record-end':
        await this.#closeSurroundings();
        await this.#update((journal) => {
          const known = action.asked ? transition.endRequested(journal) : journal;
          return transition.ended(known, hostId, action.end, { at: clock.now() });
        });
        break;
      case 'stop':
        logger.info({ instanceId, reason: action.reason }, 'stopping a guest');
        await this.#update(transition.endRequested);
        await driver.stop(instanceId, { graceMs: this.parts.stopGraceMs });
        break;
      case 'report-never-ran':
        await this.#update((journal) => transition.neverRan(journal, hostId));
        break;
      case 'remove':
        this.#isOpen = false;
        await surroundings.forget(instanceId);
        await driver.remove(instanceId);
        await this.#update((journal) => transition.removed(journal, hostId));
        break;
      case 'forget':
        await journals.delete(instanceId);
        break;
    }
  }

  async #launch(): Promise<void> {
    const { journals, driver, hostId, clock, logger } = this.parts;
    await this.#update((journal) => transition.starting(journal, randomBytes(16).toString('hex')));
    const journal = journals.get(this.instanceId);
    if (journal === undefined || journal.launch === null) return;
    const launch = { id: journal.launch.id, spec: journal.spec };
    logger.info({ instanceId: this.instanceId, epoch: journal.spec.epoch, launchId: launch.id }, 'launching a guest');
    try {
      await driver.prepare(launch);
      await this.#open();
      await driver.launch(launch);
    } catch (thrown) {
      const error = asError(thrown);
      const { code } = error as { code?: unknown };
      const failure = {
        code: typeof code === 'string' ? code.slice(0, 64) : 'driver-failed',
        reason: error.message,
        retryable: saysRetryable(error) !== false,
      };
      logger.warn({ instanceId: this.instanceId, err: error, ...failure }, 'a guest could not be launched');
      await this.#closeSurroundings();
      // Whatever a half-done start left must not meet the next one.
      await driver.stop(this.instanceId, { graceMs: 0 });
      await this.#update((now) => transition.launchFailed(now, hostId, failure, { at: clock.now() }));
      return;
    }
    await this.#update((now) => transition.running(now, hostId, driver, { at: clock.now() }));
  }

  async #open(): Promise<void> {
    if (this.#isOpen) return;
    await this.parts.surroundings.open(this.instanceId);
    this.#isOpen = true;
  }

  async #closeSurroundings(): Promise<void> {
    this.#isOpen = false;
    await this.parts.surroundings.close(this.instanceId);
  }

  async #update(change: Parameters<JournalStore['update']>[1]): Promise<void> {
    await this.parts.journals.update(this.instanceId, change);
    void this.parts.outbox.flush(this.instanceId);
  }
}
