/**
 * The domain of Vouch: the words of the log and the rules that add to it, as pure functions. Nothing here touches a
 * clock, a random source, the network or a disk; what is needed is passed in as a value. The invariant it keeps: every
 * event has exactly one canonical form, one author service and one subject, all named in one table (event-catalog).
 */
export * from './canonical-json.js';
export * from './envelope.js';
export * from './event-catalog.js';
export * from './ids.js';
export * from './key-directory.js';
