import { type DomainEvent, type FleetChange, FleetView } from '@vouch/domain';
import type { EventStore } from '@vouch/eventstore';
import type { FieldLogger } from '@vouch/platform';
import { asError, backOffMs, pause, saysRetryable } from '@vouch/platform';

/**
 * How far the feed is. `broken` is for ever: the log has a hole, went back in time, or holds an event that cannot be
 * attributed, and nothing may be decided on it.
 */
export type FeedState =
  | { readonly state: 'catching-up'; readonly position: number }
  | { readonly state: 'live'; readonly position: number }
  | { readonly state: 'broken'; readonly position: number; readonly error: Error };

/** Feeds the fleet view from the whole log, in order. The one place where the view changes. */
export class FleetFeed {
  readonly view = new FleetView();
  readonly #listeners = new Set<(change: FleetChange) => void>();
  readonly #abort = new AbortController();
  #state: FeedState['state'] = 'catching-up';
  #error: Error | undefined;
  #running: Promise<void> | undefined;

  constructor(
    private readonly store: EventStore,
    private readonly logger: FieldLogger,
  ) {}

  get state(): FeedState {
    const { position } = this.view;
    if (this.#error !== undefined) return { state: 'broken', position, error: this.#error };
    return { state: this.#state === 'live' ? 'live' : 'catching-up', position };
  }

  /** Called after each event, and once (with an empty change) whenever the state changes. */
  onChange(listener: (change: FleetChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#running;
  }

  /** True once the view has reached `seq`; false after `timeoutMs`, or when the feed is broken or stopped. */
  waitFor(seq: number, timeoutMs: number): Promise<boolean> {
    return this.waitUntil(() => this.view.position >= seq, timeoutMs);
  }

  /** True once `holds` is, asked after each event; false after `timeoutMs`, or when the feed is broken or stopped. */
  waitUntil(holds: () => boolean, timeoutMs: number): Promise<boolean> {
    if (holds()) return Promise.resolve(true);
    return new Promise((resolve) => {
      const finish = (result: boolean): void => {
        clearTimeout(timer);
        unlisten();
        this.#abort.signal.removeEventListener('abort', give);
        resolve(result);
      };
      const give = (): void => finish(false);
      const timer = setTimeout(give, timeoutMs);
      this.#abort.signal.addEventListener('abort', give, { once: true });
      const unlisten = this.onChange(() => {
        if (holds()) finish(true);
        else if (this.#error !== undefined) finish(false);
      });
      if (this.#abort.signal.aborted || this.#error !== undefined) give();
    });
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort;
    for (let attempt = 1; !signal.aborted; attempt += 1) {
      const before = this.view.position;
      try {
        await this.#follow(signal);
        if (signal.aborted) return;
      } catch (thrown) {
        const error = asError(thrown);
        if (saysRetryable(error) !== true) {
          this.#error = error;
          this.logger.error({ err: error, position: this.view.position }, 'the log cannot be followed any further');
          this.#tell({});
          return;
        }
        this.logger.warn({ err: error, position: this.view.position }, 'the log does not answer; trying again');
      }
      if (this.view.position > before) attempt = 1;
      await pause(backOffMs(attempt, 100, 5_000), signal);
    }
  }

  async #follow(signal: AbortSignal): Promise<void> {
    this.#state = 'catching-up';
    this.#tell({});
    const head = await this.store.lastSeq();
    const arrived = (): void => {
      if (this.#state === 'live' || this.view.position < head) return;
      this.#state = 'live';
      this.logger.info({ position: this.view.position }, 'fleet view has caught up with the log');
      this.#tell({});
    };
    arrived();
    for await (const event of this.store.read({ fromSeq: this.view.position + 1, follow: true, signal })) {
      const { type, data } = event.envelope;
      const change = this.view.apply({ type, data } as DomainEvent, event.seq);
      this.#tell(change);
      arrived();
    }
  }

  #tell(change: FleetChange): void {
    for (const listener of [...this.#listeners]) listener(change);
  }
}
