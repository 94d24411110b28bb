/**
 * The log of Vouch: append, read and follow events on JetStream, an in-memory twin of it, and the definition of the bus
 * (streams, buckets, consumers and who may touch which subject). The invariant it keeps: an acknowledged event is stored
 * exactly once at the position its author expected, and no reader ever passes a hole or an event it cannot attribute.
 */
export * from './bus/bus-definition.js';
export * from './bus/bus-errors.js';
export * from './bus/bus-user.js';
export * from './bus/bus-user-key.js';
export * from './bus/connect-bus.js';
export * from './bus/nats-permissions.js';
export * from './bus/nats-server-config.js';
export * from './bus/open-bucket.js';
export * from './bus/provision-bus.js';
export * from './bus/server-version.js';
export * from './event-store.js';
export * from './event-store-errors.js';
export * from './jetstream/jetstream-event-store.js';
export * from './memory-event-store.js';
export { matchesFilter } from './subject-filter.js';
