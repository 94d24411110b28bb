/**
 * What tests are made of: clocks and random sources that repeat, signed events of every service, given-when-then for
 * deciders, a real NATS server under its full permissions, a proxy that breaks its connections,
 * and simulated hardware with a booted guest. Fakes, not mocks.
 * The event store's contract suite is `@vouch/testkit/contract`, apart because it needs Vitest.
 */
export * from './fake-clock.js';
export * from './fault-proxy.js';
export * from './given.js';
export * from './seeded-random.js';
export * from './simulated-platform.js';
export * from './test-authors.js';
export * from './test-bus.js';
