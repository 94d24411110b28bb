import {
  type ConsumerConfig,
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamManager,
  jetstreamManager,
  type StreamConfig,
} from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import {
  BUCKETS,
  CONSUMERS,
  type ConsumerDefinition,
  STREAM_NAMES,
  STREAMS,
  type StreamDefinition,
} from './bus-definition.js';
import { BusConfigurationError } from './bus-errors.js';
import { assertServerVersion } from './server-version.js';

export interface ProvisionOptions {
  /** Copies of every stream: 1 in development (default), 3 in production. */
  readonly replicas?: number;
  /** Room reserved for EVENTS, bytes. */
  readonly eventsMaxBytes?: number;
}

/**
 * Creates or corrects every stream, bucket and durable consumer. Idempotent. Run by the migration step with the one user
 * that may administer streams. Throws ServerVersionError on an old server and BusConfigurationError when the server's
 * answer differs from the definition: a server that does not know a setting drops it without a word.
 */
export async function provisionBus(connection: NatsConnection, options: ProvisionOptions = {}): Promise<void> {
  assertServerVersion(connection);
  const replicas = options.replicas ?? 1;
  if (replicas > 1 && connection.info?.cluster === undefined) {
    // A single server takes the setting, reports it back, and keeps one copy.
    throw new BusConfigurationError('server', 'cluster', `a cluster that holds ${replicas} copies`, null);
  }
  const manager = await jetstreamManager(connection);
  for (const definition of [...Object.values(STREAMS), ...Object.values(BUCKETS)]) {
    const eventsMaxBytes = definition.name === STREAM_NAMES.events ? options.eventsMaxBytes : undefined;
    await provisionStream(manager, {
      ...definition,
      subjects: [...definition.subjects],
      num_replicas: replicas,
      ...(eventsMaxBytes === undefined ? {} : { max_bytes: eventsMaxBytes }),
    });
  }
  for (const definition of Object.values(CONSUMERS)) await provisionConsumer(manager, definition);
}

async function provisionStream(manager: JetStreamManager, wanted: StreamDefinition): Promise<void> {
  let found: StreamConfig | undefined;
  try {
    found = (await manager.streams.info(wanted.name)).config;
  } catch (error) {
    if (!isApiError(error, JetStreamApiCodes.StreamNotFound)) throw error;
  }
  if (found === undefined) {
    found = (await manager.streams.add(wanted)).config;
  } else if (firstDifference(wanted, found) !== undefined) {
    found = (await manager.streams.update(wanted.name, { ...found, ...wanted })).config;
  }
  const field = firstDifference(wanted, found);
  if (field !== undefined) {
    throw new BusConfigurationError(`stream ${wanted.name}`, field, settingOf(wanted, field), settingOf(found, field));
  }
}

async function provisionConsumer(manager: JetStreamManager, definition: ConsumerDefinition): Promise<void> {
  const { stream, config: wanted } = definition;
  let found: ConsumerConfig | undefined;
  try {
    found = (await manager.consumers.info(stream, wanted.durable_name)).config;
  } catch (error) {
    if (!isApiError(error, JetStreamApiCodes.ConsumerNotFound)) throw error;
  }
  if (found === undefined) {
    found = (await manager.consumers.add(stream, { ...wanted })).config;
  } else if (firstDifference(wanted, found) !== undefined) {
    found = (await manager.consumers.update(stream, wanted.durable_name, { ...wanted })).config;
  }
  const field = firstDifference(wanted, found);
  if (field !== undefined) {
    const resource = `consumer ${stream}/${wanted.durable_name}`;
    throw new BusConfigurationError(resource, field, settingOf(wanted, field), settingOf(found, field));
  }
}

/** First defined setting that the server reports differently. Absent means false or 0, as the server leaves those out. */
function firstDifference(wanted: object, found: object): string | undefined {
  return Object.keys(wanted).find((field) => {
    const want = settingOf(wanted, field);
    const have = settingOf(found, field);
    if (want === undefined || ((want === false || want === 0) && have === undefined)) return false;
    return JSON.stringify(want) !== JSON.stringify(have);
  });
}

function settingOf(config: object, field: string): unknown {
  return (config as Record<string, unknown>)[field];
}

function isApiError(error: unknown, code: number): boolean {
  return error instanceof JetStreamApiError && error.code === code;
}
