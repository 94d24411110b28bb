import { JetStreamEventStore } from '@vouch/eventstore';
import { afterAll, beforeAll } from 'vitest';
import { describeEventStore } from './contract.js';
import { FaultProxy } from './fault-proxy.js';
import { makeTestAuthors, type TestAuthors } from './test-authors.js';
import { startTestBus, type TestBus } from './test-bus.js';

let bus: TestBus;
let authors: TestAuthors;

beforeAll(async () => {
  bus = await startTestBus();
  authors = makeTestAuthors();
});
afterAll(() => bus.stop());

describeEventStore('JetStream event store', async () => {
  const proxy = await FaultProxy.start(bus.port);
  const connection = await bus.connect({ service: 'control-api', node: '' }, proxy.url);
  const direct = await bus.connect({ service: 'control-api', node: '' });
  return {
    store: new JetStreamEventStore({
      connection,
      directory: authors.directory,
      requestTimeoutMs: 300,
      deadlineMs: 900,
    }),
    authors,
    injectRaw: async (subject, bytes) => {
      await direct.request(subject, bytes);
    },
    loseNextAck: () => proxy.dropAcks(1),
    setUnavailable: async (unavailable) => proxy.swallowRequests(unavailable),
    close: async () => {
      await Promise.all([connection.close(), direct.close()]);
      await proxy.stop();
    },
  };
});
