import type { StoredEvent } from '@vouch/eventstore';

const MAX_EVENTS = 1024;
const MAX_BYTES = 16 * 1024 * 1024;

/**
 * Events read ahead of the projector, bounded in number and bytes: reading and checking signatures overlaps with
 * writing, and a burst becomes batches. The reader's error reaches the taker after the events read before it.
 */
export class EventQueue {
  readonly #events: StoredEvent[] = [];
  #bytes = 0;
  #ended = false;
  #failure: unknown;
  #woken = false;
  #notifyTaker: () => void = () => undefined;
  #notifyReader: () => void = () => undefined;

  /** Pumps `source` into the queue until it ends or throws. Resolves when nothing more will come; never rejects. */
  async fill(source: AsyncIterable<StoredEvent>): Promise<void> {
    try {
      for await (const event of source) {
        this.#events.push(event);
        this.#bytes += event.bytes.length;
        this.#notifyTaker();
        while (!this.#ended && (this.#events.length >= MAX_EVENTS || this.#bytes >= MAX_BYTES)) {
          await new Promise<void>((resolve) => {
            this.#notifyReader = resolve;
          });
        }
        if (this.#ended) break;
      }
    } catch (error) {
      this.#failure = error;
    }
    this.#ended = true;
    this.#notifyTaker();
  }

  /**
   * Up to `maxEvents` events (at least one of any size, then up to `maxBytes` in all). Waits until there is one, until
   * {@link wake}, or for `waitMs` (Infinity: for ever), and then returns none. Throws what the reader threw.
   */
  async take(maxEvents: number, maxBytes: number, waitMs: number): Promise<StoredEvent[]> {
    if (this.#events.length === 0 && !this.#ended && !this.#woken && waitMs > 0) await this.#wait(waitMs);
    this.#woken = false;
    const taken: StoredEvent[] = [];
    let bytes = 0;
    for (let next = this.#events[0]; next !== undefined; next = this.#events[0]) {
      if (taken.length >= maxEvents || (taken.length > 0 && bytes + next.bytes.length > maxBytes)) break;
      this.#events.shift();
      taken.push(next);
      bytes += next.bytes.length;
    }
    this.#bytes -= bytes;
    this.#notifyReader();
    if (taken.length === 0 && this.#failure !== undefined) throw this.#failure;
    return taken;
  }

  /** True when the source has ended without an error and everything was taken. */
  get isDrained(): boolean {
    return this.#ended && this.#failure === undefined && this.#events.length === 0;
  }

  /** Ends a waiting or the next {@link take} early. */
  wake(): void {
    this.#woken = true;
    this.#notifyTaker();
  }

  /** Takes no more from the source. */
  close(): void {
    this.#ended = true;
    this.#notifyReader();
    this.#notifyTaker();
  }

  #wait(waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = Number.isFinite(waitMs) ? setTimeout(() => this.#notifyTaker(), waitMs) : undefined;
      this.#notifyTaker = () => {
        clearTimeout(timer);
        this.#notifyTaker = () => undefined;
        resolve();
      };
    });
  }
}
