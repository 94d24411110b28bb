import {
  type Advance,
  advance,
  canonicalJson,
  type DomainEvent,
  type EventData,
  EventRejectedError,
  type EventType,
  type Step,
} from '@vouch/domain';
import { asError, type Clock, deterministicEventId, type EventWriter, type FieldLogger } from '@vouch/platform';
import type { AddressBook } from './address-book.js';
import type { FleetFeed } from './fleet-feed.js';
import type { GuestPublisher } from './guest-publisher.js';
import type { HeartbeatWatch } from './heartbeat-watch.js';

/** The view must show an event of ours within this time, ms; else the pass ends and the next one starts from what is there. */
const ECHO_LIMIT_MS = 5_000;
/** After a failed pass the next one waits this long, ms. Events and heartbeats do not shorten it. */
const RETRY_MS = 1_000;

interface RunnerParts {
  readonly feed: FleetFeed;
  readonly heartbeats: HeartbeatWatch;
  readonly publisher: GuestPublisher;
  readonly book: AddressBook;
  readonly writer: Pick<EventWriter, 'write'>;
  readonly clock: Clock;
  readonly logger: FieldLogger;
}

/**
 * Carries operations out: asks the domain what to do next (`advance`), does it, waits until the view shows it, and asks
 * again until nothing is left. It is driven by events and heartbeats and keeps no state that a crash could lose.
 */
export class OperationRunner {
  #wanted = false;
  #running: Promise<void> | undefined;
  #retry: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(private readonly parts: RunnerParts) {}

  start(): void {
    const { feed, heartbeats, publisher } = this.parts;
    feed.onChange((change) => {
      if (change.instanceId !== undefined) publisher.touch(change.instanceId);
      this.poke();
    });
    feed.start();
    publisher.start(() => this.poke());
    heartbeats.start(() => this.poke());
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#retry);
    const { feed, heartbeats, publisher } = this.parts;
    await Promise.all([feed.stop(), heartbeats.stop(), publisher.stop()]);
    await this.#running;
  }

  /** Something may be ready to be done. Cheap, and harmless at any time. */
  poke(): void {
    this.#wanted = true;
    if (this.#running !== undefined || this.#retry !== undefined || this.#stopped) return;
    if (this.parts.feed.state.state !== 'live') return;
    this.#running = this.#work().finally(() => {
      this.#running = undefined;
      if (this.#wanted) this.poke();
    });
  }

  /** Looks at everything again: what the log wants and what the buckets hold. Resolves when nothing is left to do now. */
  async reconcile(): Promise<void> {
    this.parts.publisher.touchAll();
    this.poke();
    while (this.#running !== undefined) await this.#running;
  }

  async #work(): Promise<void> {
    try {
      while (this.#wanted && !this.#stopped && this.parts.feed.state.state === 'live') {
        this.#wanted = false;
        if (await this.#pass()) this.#wanted = true;
      }
    } catch (error) {
      if (this.#stopped) return;
      this.parts.logger.warn({ err: asError(error) }, 'operations cannot go on at the moment; trying again');
      this.#wanted = false;
      this.#retry = setTimeout(() => {
        this.#retry = undefined;
        this.poke();
      }, RETRY_MS);
    }
  }

  /** One look at all unfinished operations. True when something was appended. */
  async #pass(): Promise<boolean> {
    const { feed, clock, heartbeats, publisher } = this.parts;
    const advances = advance(feed.view, clock.now(), heartbeats.heartbeats);
    const done = await Promise.allSettled(advances.map((one) => this.#carryOut(one)));
    await publisher.publish();
    let reached = 0;
    for (const outcome of done) if (outcome.status === 'fulfilled') reached = Math.max(reached, outcome.value);
    if (reached > 0) await feed.waitFor(reached, ECHO_LIMIT_MS);
    const failed = done.find((outcome) => outcome.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    return reached > 0;
  }

  /** Does the steps of one operation in order and returns the log position the view must reach to see them. */
  async #carryOut(one: Advance): Promise<number> {
    let reached = 0;
    for (const step of one.steps) {
      const event = await this.#eventOf(step);
      const outcome = await this.#append(event, step.expectedLastSeq, one).catch((error: unknown) => {
        if (error instanceof EventRejectedError) return this.#fail(one, error);
        throw error;
      });
      reached = Math.max(reached, outcome.ok ? outcome.seq : outcome.lastSeq);
      // Somebody else was faster: the view has to learn what happened before anything more is decided.
      if (!outcome.ok) break;
    }
    return reached;
  }

  async #eventOf(step: Step): Promise<DomainEvent> {
    if (step.kind === 'append') return step.event;
    const { instanceId, hostId, epoch, reason } = step;
    const address = await this.parts.book.claim(instanceId);
    return { type: 'instance.placed', data: { hostId, instanceId, epoch, address, reason } };
  }

  /** Ends an operation whose next event cannot be written, now or ever; the code is the rejection's own. */
  #fail(one: Advance, { code, message }: EventRejectedError) {
    const { operationId } = one;
    const reason = message.slice(0, 2000);
    const event: DomainEvent<'operation.failed'> = { type: 'operation.failed', data: { operationId, code, reason } };
    return this.#append(event, this.parts.feed.view.lastSeqFor(event), one);
  }

  #append<T extends EventType>(event: DomainEvent<T>, expected: number, { operationId, principal }: Advance) {
    const { type, data } = event;
    return this.parts.writer.write(type, data as EventData<T>, {
      actor: principal,
      cause: operationId,
      corr: operationId,
      expected,
      // The same step at the same position is the same event, however often it is tried.
      id: deterministicEventId('operation-step', operationId, type, expected, canonicalJson(data)),
    });
  }
}
