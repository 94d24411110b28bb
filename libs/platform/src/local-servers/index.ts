/**
 * Real servers on one machine, for `vouch up`, tests and benches: nats-server, Postgres, anvil and Redis as child
 * processes on 127.0.0.1, without root, without an engine, and without touching the system. The invariant: a start
 * either returns a server that serves from the given data folder, or throws one LocalServerError that says what to do,
 * and leaves nothing running. Imports nothing from Nest.
 */

export { isAlive, type ProcessIdentity, processIdentity } from '../process-identity.js';
export { ANVIL_CHAIN_ID, type AnvilOptions, startAnvil } from './anvil.js';
export { LocalServerError } from './errors.js';
export type { LocalServer, LocalServerOptions, Progress, ServerExit } from './local-server.js';
export { locateNatsServer, NATS_VERSION_FLOOR } from './nats-binary.js';
export { type NatsOptions, startNats } from './nats-server.js';
export { assertPortFree, freePort, portHolder } from './ports.js';
export { type PostgresOptions, startPostgres } from './postgres.js';
export { type RedisOptions, startRedis } from './redis.js';
export { locateRedisServer, type RedisBinary } from './redis-binary.js';
export { defaultCacheDir, type ServerBinary } from './server-binary.js';
