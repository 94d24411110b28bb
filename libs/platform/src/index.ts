/**
 * What every service stands on: configuration with precise errors, the NATS connection, the event log as a Nest
 * transport, request/reply over the bus, an event writer, logging, metrics, health, and a life cycle that ends in order.
 * The invariant: an event is acknowledged only after its handler succeeded, and a consumer that cannot go on stops
 * visibly (not ready, logged, counted, exit code) instead of skipping.
 */
export { Logger, PinoLogger } from 'nestjs-pino';
export { asError, backOffMs, pause, saysRetryable } from './back-off.js';
export { type Clock, systemClock } from './clock.js';
export { type CommonConfig, commonConfigSchema } from './config/common-config.js';
export { ConfigError } from './config/config-error.js';
export { type ListenAddress, listenAddress, readConfig } from './config/read-config.js';
export { connectNats, type NatsIdentity } from './connect-nats.js';
export { deterministicEventId } from './deterministic-event-id.js';
export { EventWriter, type WriteOptions, type WriteOutcome } from './event-writer.js';
export { HealthServer } from './health/health-server.js';
export { Metrics } from './health/metrics.js';
export { type FatalError, ServiceState } from './health/service-state.js';
export { loggerOptions, redactedPaths } from './logging/logger-options.js';
export { type AuthorSource, PlatformModule, type PlatformOptions } from './platform.module.js';
export { isAlive, type ProcessIdentity, processIdentity } from './process-identity.js';
export { EXIT, type RunOptions, runService } from './run-service.js';
export {
  assertAuthorKnown,
  readEventAuthor,
  readKeyDirectory,
  readNatsSeed,
  readSettingFile,
} from './secrets-from-files.js';
export { CLOCK, COMMON_CONFIG, EVENT_AUTHOR, EVENT_STORE, KEY_DIRECTORY, NATS } from './tokens.js';
export { BusRequestError } from './transport/bus-error.js';
export { busRequest } from './transport/bus-request.js';
export {
  BusRequestContext,
  BusRequestTransport,
  type BusRequestTransportOptions,
} from './transport/bus-request-transport.js';
export type { DurableEvents, OrderedEvents } from './transport/event-subscription.js';
export { OnEvents, OnRequest } from './transport/handler-decorators.js';
export { type DeliveryInfo, JetStreamContext } from './transport/jetstream-context.js';
export { JetStreamTransport, type JetStreamTransportOptions } from './transport/jetstream-transport.js';
export type { FieldLogger, TransportParts } from './transport/transport-parts.js';
