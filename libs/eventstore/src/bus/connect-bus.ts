import { connect, type NatsConnection, nkeyAuthenticator } from '@nats-io/transport-node';

export interface ConnectBusOptions {
  readonly servers: string | string[];
  /** NKey user seed, the ASCII text that starts with "SU". */
  readonly seed: Uint8Array;
  /** Connection name, shown in the server's monitoring. */
  readonly name: string;
  readonly inboxPrefix: string;
}

/** Connects with an NKey. Waits for the first connection and reconnects for ever with a back-off. */
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
