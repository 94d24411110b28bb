import type { NatsConnection } from '@nats-io/transport-node';

/** Tells listeners when a connection was lost and made again: what waited at the server may be gone. */
export class ReconnectWatch {
  readonly #listeners = new Set<() => void>();
  #watching = false;

  constructor(private readonly connection: NatsConnection) {}

  /** Calls `listener` after every reconnect, until the returned function is called. */
  add(listener: () => void): () => void {
    this.#listeners.add(listener);
    if (!this.#watching) {
      this.#watching = true;
      void this.#watch();
    }
    return () => this.#listeners.delete(listener);
  }

  /** Ends with the connection. */
  async #watch(): Promise<void> {
    for await (const { type } of this.connection.status()) {
      if (type === 'reconnect') for (const listener of this.#listeners) listener();
    }
  }
}
