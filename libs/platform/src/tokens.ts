/** EventStore. */
export const EVENT_STORE = Symbol('EVENT_STORE');
/** EventAuthor: who signs this service's events. Absent for services that write none. */
export const EVENT_AUTHOR = Symbol('EVENT_AUTHOR');
/** KeyDirectory made from the trust file. */
export const KEY_DIRECTORY = Symbol('KEY_DIRECTORY');
/** NatsConnection of this service's own user. */
export const NATS = Symbol('NATS');
/** Clock. */
export const CLOCK = Symbol('CLOCK');
/** CommonConfig. */
export const COMMON_CONFIG = Symbol('COMMON_CONFIG');
