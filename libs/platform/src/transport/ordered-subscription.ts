import type { EventStore, StoredEvent } from '@vouch/eventstore';
import { asError, backOffMs, pause, saysRetryable } from '../back-off.js';
import type { EventHandler, EventSubscription } from './event-subscription.js';
import { JetStreamContext } from './jetstream-context.js';
import type { TransportParts } from './transport-parts.js';

const FIRST_RETRY_MS = 100;
const RETRY_LIMIT_MS = 5000;
const EVERYTHING = 'evt.>';

/**
 * Hands every event of the log (or of one filter) to the handler, one at a time and in order. The service is not ready
 * until the events that were there at the start are handled. A retryable error repeats the same event; any other
 * (a gap, an event that cannot be attributed, a handler that cannot go on) is fatal: skipping would falsify the state.
 */
export class OrderedSubscription implements EventSubscription {
  readonly #abort = new AbortController();
  #next: number;
  #running: Promise<void> = Promise.resolve();

  constructor(
    readonly name: string,
    private readonly pattern: string,
    fromSeq: number,
    private readonly store: EventStore,
    private readonly handle: EventHandler,
    private readonly parts: TransportParts,
  ) {
    this.#next = fromSeq;
  }

  start(): void {
    this.parts.state.hold(this.name, 'reading the events so far');
    this.#running = this.#run().catch((error: unknown) => {
      if (!this.#abort.signal.aborted) this.parts.state.fail(this.name, asError(error));
    });
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    await this.#readUntilDone(false);
    if (this.#abort.signal.aborted) return;
    this.parts.state.release(this.name);
    await this.#readUntilDone(true);
  }

  /** Reads to the end (for ever when following), going on at the same place while the store is unavailable. */
  async #readUntilDone(follow: boolean): Promise<void> {
    const { signal } = this.#abort;
    for (let attempt = 1; !signal.aborted; attempt += 1) {
      const before = this.#next;
      try {
        const filters = this.pattern === EVERYTHING ? {} : { filters: [this.pattern] };
        for await (const event of this.store.read({ fromSeq: this.#next, follow, signal, ...filters })) {
          await this.#handleUntilDone(event);
          if (signal.aborted) return;
          this.#next = event.seq + 1;
        }
        if (!follow) return;
      } catch (error) {
        if (saysRetryable(error) !== true) throw error;
        this.parts.logger.warn({ consumer: this.name, err: asError(error).message }, 'reading again');
      }
      if (this.#next > before) attempt = 1;
      await pause(backOffMs(attempt, FIRST_RETRY_MS, RETRY_LIMIT_MS), signal);
    }
  }

  async #handleUntilDone(event: StoredEvent): Promise<void> {
    const { signal } = this.#abort;
    const { type } = event.envelope;
    for (let attempt = 1; !signal.aborted; attempt += 1) {
      const stopTimer = this.parts.metrics.eventSeconds.startTimer({ consumer: this.name });
      this.parts.metrics.eventsInFlight.inc({ consumer: this.name });
      try {
        await this.handle(event, new JetStreamContext({ consumer: this.name, deliveries: attempt, signal }));
        this.parts.metrics.eventsHandled.inc({ consumer: this.name, type, outcome: 'ok' });
        this.parts.metrics.consumerPosition.set({ consumer: this.name }, event.seq);
        return;
      } catch (error) {
        const isRetry = saysRetryable(error) === true;
        this.parts.metrics.eventsHandled.inc({ consumer: this.name, type, outcome: isRetry ? 'retry' : 'fatal' });
        if (!isRetry) throw error;
        this.parts.logger.warn({ consumer: this.name, seq: event.seq, err: asError(error).message }, 'handling again');
      } finally {
        stopTimer();
        this.parts.metrics.eventsInFlight.dec({ consumer: this.name });
      }
      await pause(backOffMs(attempt, FIRST_RETRY_MS, RETRY_LIMIT_MS), signal);
    }
  }
}
