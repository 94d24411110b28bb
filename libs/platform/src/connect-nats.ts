import { errors, type NatsConnection } from '@nats-io/transport-node';
import type { Service } from '@vouch/domain';
import { assertServerVersion, busUserName, connectBus, inboxPrefix } from '@vouch/eventstore';
import { asError, backOffMs, pause } from './back-off.js';
import { ConfigError } from './config/config-error.js';
import type { ServiceState } from './health/service-state.js';

const FIRST_RETRY_MS = 100;
const RETRY_LIMIT_MS = 2000;

export interface NatsIdentity {
  readonly servers: string[];
  readonly seed: Uint8Array;
  readonly service: Service;
  readonly node: string;
}

/**
 * Connects as this service's user, waiting for a server that is not up yet up to `deadlineMs`. Readiness is held while
 * the connection is down; a connection that ends for good is fatal. Throws ConfigError when the server refuses the key,
 * ServerVersionError when it is too old.
 */
export async function connectNats(
  identity: NatsIdentity,
  state: ServiceState,
  deadlineMs = 60_000,
): Promise<NatsConnection> {
  const { service, node, servers, seed } = identity;
  const user = { service, node };
  const deadline = performance.now() + deadlineMs;
  state.hold('nats', 'connecting');
  for (let attempt = 1; ; attempt += 1) {
    try {
      const name = busUserName(user);
      const connection = await connectBus({ servers, seed, name, inboxPrefix: inboxPrefix(user) });
      assertServerVersion(connection);
      state.release('nats');
      void followStatus(connection, state);
      return connection;
    } catch (error) {
      if (error instanceof errors.AuthorizationError || error instanceof errors.UserAuthenticationExpiredError) {
        throw new ConfigError([`VOUCH_NATS_SEED_FILE: ${servers.join(',')} refuses this key for ${busUserName(user)}`]);
      }
      if (!(error instanceof errors.ConnectionError || isSystemError(error)) || performance.now() > deadline)
        throw error;
      await pause(backOffMs(attempt, FIRST_RETRY_MS, RETRY_LIMIT_MS));
    }
  }
}

async function followStatus(connection: NatsConnection, state: ServiceState): Promise<void> {
  void connection.closed().then((error) => {
    if (error instanceof Error) state.fail('nats', error);
    else state.hold('nats', 'the connection is closed');
  });
  try {
    for await (const status of connection.status()) {
      if (status.type === 'disconnect') state.hold('nats', 'disconnected');
      if (status.type === 'reconnect') state.release('nats');
    }
  } catch (error) {
    state.hold('nats', asError(error).message);
  }
}

function isSystemError(error: unknown): boolean {
  return typeof (error as NodeJS.ErrnoException).syscall === 'string';
}
