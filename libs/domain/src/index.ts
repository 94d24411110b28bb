/**
 * The domain of Vouch: the words of the log and the rules that add to it, as pure functions. Nothing here touches a
 * clock, a random source, the network or a disk; what is needed is passed in as a value. The invariant it keeps: every
 * event has exactly one canonical form, one author service and one subject, all named in one table (event-catalog).
 */
export * from './app/index.js';
export * from './asyncapi/asyncapi-document.js';
export * from './canonical-json.js';
export * from './command/index.js';
export * from './decision.js';
export * from './envelope.js';
export * from './event-catalog.js';
export * from './fleet/index.js';
export * from './grant/index.js';
export * from './host/index.js';
export * from './ids.js';
export * from './instance/index.js';
export * from './key-directory.js';
export * from './key-id.js';
export * from './operation/index.js';
export * from './projections/index.js';
export * from './release/index.js';
export * from './scheduler/index.js';
