import { connect, type NatsConnection, nkeyAuthenticator } from '@nats-io/transport-node';

export interface ConnectBusOptions {
  readonly servers: string | string[];
  /** NKey user seed, the ASCII text that starts with "SU". */
  readonly seed: Uint8Array;
  /** Connection name, shown in the server's monitoring. */
  readonly name: string;
  readonly inboxPrefix: string;
}

/**
 * Longest a connection attempt may take, ms. The client (3.4) does not notice when a connection breaks between the
 * server's greeting and the end of the handshake: only this limit makes it try again, and its default is 20 s.
 */
const HANDSHAKE_TIMEOUT_MS = 3_000;

/** Connects with an NKey. Rejects when the first connection fails; later ones are tried for ever. */
export async function connectBus(options: ConnectBusOptions): Promise<NatsConnection> {
  return connect({
    servers: options.servers,
    authenticator: nkeyAuthenticator(options.seed),
    name: options.name,
    inboxPrefix: options.inboxPrefix,
    timeout: HANDSHAKE_TIMEOUT_MS,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 250,
    reconnectJitter: 100,
    noAsyncTraces: true,
  });
}
