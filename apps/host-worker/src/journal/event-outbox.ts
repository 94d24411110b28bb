import { asError, backOffMs, type FieldLogger, pause } from '@vouch/platform';
import type { PendingEvent } from './guest-journal.js';
import type { JournalStore } from './journal-store.js';
import { told } from './journal-transitions.js';

const FIRST_RETRY_MS = 200;
const RETRY_LIMIT_MS = 5000;

/** Writes one event to the log, once whatever is repeated (its id is fixed). Throws when the log is not available. */
export type WriteEvent = (event: PendingEvent, signal: AbortSignal) => Promise<void>;

/**
 * Carries the journals' pending events to the log, per guest in order, for as long as it takes. The reconciler does not
 * wait for the bus: guests are stopped and started while it is away, and the log learns it later.
 */
export class EventOutbox {
  readonly #abort = new AbortController();
  readonly #flushing = new Map<string, Promise<void>>();

  constructor(
    private readonly journals: JournalStore,
    private readonly write: WriteEvent,
    private readonly logger: FieldLogger,
    private readonly onTold: (instanceId: string) => void = () => undefined,
  ) {}

  /** Resolves when the log has everything that was pending for the guest at this moment (or the outbox is closed). */
  async flush(instanceId: string): Promise<void> {
    for (;;) {
      const running = this.#flushing.get(instanceId);
      if (running === undefined) break;
      await running;
    }
    if (!this.#hasPending(instanceId)) return;
    const run = this.#run(instanceId).finally(() => this.#flushing.delete(instanceId));
    this.#flushing.set(instanceId, run);
    await run;
  }

  /** True when the log was told everything. */
  isFlushed(instanceId: string): boolean {
    return !this.#hasPending(instanceId);
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await Promise.all(this.#flushing.values());
  }

  #hasPending(instanceId: string): boolean {
    return (this.journals.get(instanceId)?.events.length ?? 0) > 0;
  }

  async #run(instanceId: string): Promise<void> {
    const { signal } = this.#abort;
    for (let attempt = 1; !signal.aborted; ) {
      const event = this.journals.get(instanceId)?.events[0];
      if (event === undefined) return;
      try {
        await this.write(event, signal);
        await this.journals.update(instanceId, (journal) => told(journal, event.id));
        this.onTold(instanceId);
        attempt = 1;
      } catch (error) {
        this.logger.warn({ instanceId, type: event.type, err: asError(error).message }, 'the log was not told yet');
        await pause(backOffMs(attempt, FIRST_RETRY_MS, RETRY_LIMIT_MS), signal);
        attempt += 1;
      }
    }
  }
}
