import { connect, type NatsConnection, nkeyAuthenticator } from '@nats-io/transport-node';

export interface ConnectBusOptions {
  readonly servers: string | string[];
  /** NKey user seed, the ASCII text that starts with "SU". */
  readonly seed: Uint8Array;
  /** Connection name, shown in the server's monitoring. */
  readonly name: string;
  readonly inboxPrefix: string;
}

/** Connects with an NKey. Rejects when the first connection fails; later ones are tried for ever. */
export async function connectBus(options: ConnectBusOptions): Promise<NatsConnection> {
  return connect({
    servers: options.servers,
    authenticator: nkeyAuthenticator(options.seed),
    name: options.name,
    inboxPrefix: options.inboxPrefix,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 250,
    reconnectJitter: 100,
    noAsyncTraces: true,
  });
}
