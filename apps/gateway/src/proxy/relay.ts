import type { Socket } from 'node:net';

/** Bytes a relay has carried: to the app and from it. */
export interface Carried {
  readonly toApp: number;
  readonly fromApp: number;
}

/**
 * Carries bytes both ways until both sides have ended, one fails, or neither says anything for `idleMs`. An end on one
 * side is passed on as a half-close, and the other direction is drained. `done` resolves once both are closed.
 */
export class Relay {
  readonly done: Promise<void>;

  constructor(
    private readonly client: Socket,
    private readonly upstream: Socket,
    idleMs: number,
  ) {
    this.done = Promise.all([closed(client), closed(upstream)]).then(() => undefined);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      from.on('error', () => to.destroy());
      // A side that vanished without an end takes the other with it; after an orderly end there is nothing left to do.
      from.on('close', () => {
        if (!to.writableEnded || !to.readableEnded) to.destroySoon();
      });
      // Bytes in either direction pass through both sockets, so each one's timer covers the whole relay.
      from.setTimeout(idleMs, () => this.cut());
      from.pipe(to);
    }
  }

  /** Ends both sides at once. */
  cut(): void {
    this.client.destroy();
    this.upstream.destroy();
  }

  get carried(): Carried {
    return { toApp: this.upstream.bytesWritten, fromApp: this.upstream.bytesRead };
  }
}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.closed) resolve();
    else socket.once('close', () => resolve());
  });
}
