import type { FieldLogger } from '@vouch/platform';
import { GuestLane, type LaneParts } from './guest-lane.js';
import type { Wish } from './next-action.js';

const RESYNC_MS = 30_000;

/** Where wishes come from. */
export interface Wishes {
  get(instanceId: string): Wish;
  /** Instances something is wished for. */
  ids(): Iterable<string>;
  onChange(listener: (instanceId: string) => void): void;
}

/**
 * Runs a lane for every guest that is wished for or written down, and looks at all of them again on every change and
 * every 30 seconds: no message is needed for the worker to do the right thing, it only makes it sooner.
 */
export class Reconciler {
  readonly #lanes = new Map<string, GuestLane>();
  #timer: NodeJS.Timeout | undefined;
  #isHalting = false;

  constructor(
    private readonly wishes: Wishes,
    private readonly parts: Omit<LaneParts, 'wishFor'>,
    private readonly logger: FieldLogger,
  ) {}

  start(): void {
    this.parts.driver.onChange((instanceId) => this.poke(instanceId));
    this.wishes.onChange((instanceId) => this.poke(instanceId));
    this.#timer = setInterval(() => this.pokeAll(), RESYNC_MS);
    this.#timer.unref();
    this.logger.info({ known: this.parts.journals.ids().length }, 'taking up the guests of this host');
    this.pokeAll();
  }

  poke(instanceId: string): void {
    let lane = this.#lanes.get(instanceId);
    if (lane === undefined) {
      lane = new GuestLane(instanceId, { ...this.parts, wishFor: (id) => this.#wishFor(id) });
      this.#lanes.set(instanceId, lane);
    }
    lane.poke();
  }

  pokeAll(): void {
    for (const instanceId of new Set([...this.parts.journals.ids(), ...this.wishes.ids()])) this.poke(instanceId);
  }

  /** Stops every guest that runs; what should run stays wished for, so that the next worker starts it again. */
  async haltGuests(): Promise<void> {
    this.#isHalting = true;
    this.pokeAll();
    await Promise.all([...this.#lanes.values()].map((lane) => lane.settled()));
  }

  /** Takes no more steps. Guests go on. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all([...this.#lanes.values()].map((lane) => lane.close()));
  }

  #wishFor(instanceId: string): Wish {
    return this.#isHalting ? { kind: 'halt' } : this.wishes.get(instanceId);
  }
}
