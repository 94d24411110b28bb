import { randomBytes, randomUUID } from 'node:crypto';
import { jetstream } from '@nats-io/jetstream';
import { type AuthoredEvent, authorEvent, type EventAuthor } from '@vouch/domain';
import { JetStreamEventStore } from '@vouch/eventstore';
import { makeTestAuthors, startTestBus } from '@vouch/testkit';
import { type Bench, type BenchResult, interleaved } from './harness.js';

const ROUNDS = 5;
const EVENTS_PER_ROUND = 300;
const WRITERS = 8;

/**
 * Events appended and acknowledged per second: our store (expected sequence, typed outcome) against a bare client that
 * publishes the same bytes to the same stream of the same server, with one writer and with eight. The third figure adds
 * what an author does before: schema check, canonical form, Ed25519 signature.
 */
export const appendBench: Bench = {
  name: 'append',
  summary:
    'events/s appended with acks on a real nats-server (fsync on every write), against a bare client on the same server',
  run: async (say): Promise<BenchResult> => {
    const authors = makeTestAuthors();
    const bus = await startTestBus();
    try {
      const user = { service: 'control-api', node: '' } as const;
      const connection = await bus.connect(user);
      const bare = jetstream(await bus.connect(user));
      const store = new JetStreamEventStore({ connection, directory: authors.directory });
      const author = authors.of('control-api');
      const append = async (event: AuthoredEvent): Promise<void> => {
        const outcome = await store.append(event, 0);
        if (!outcome.ok) throw new Error('an append to a fresh subject met a conflict');
      };
      const publish = async (event: AuthoredEvent): Promise<void> => {
        await bare.publish(event.envelope.subject, event.bytes);
      };
      const medians = await interleaved(
        ROUNDS,
        {
          append: () => perSecond(1, author, append),
          bare: () => perSecond(1, author, publish),
          append8: () => perSecond(WRITERS, author, append),
          bare8: () => perSecond(WRITERS, author, publish),
          authorAndAppend: () => perSecond(1, author, () => append(newEvent(author))),
        },
        say,
      );
      return {
        metrics: {
          appendPerSecond: medians.append,
          appendEightWritersPerSecond: medians.append8,
          authorSignAppendPerSecond: medians.authorAndAppend,
        },
        peers: { barePublishPerSecond: medians.bare, barePublishEightWritersPerSecond: medians.bare8 },
        ratios: {
          append: medians.append / medians.bare,
          appendEightWriters: medians.append8 / medians.bare8,
          authorSignAppend: medians.authorAndAppend / medians.bare,
        },
      };
    } finally {
      await bus.stop();
    }
  },
};

/** A small event on a subject of its own, as a registered app makes it. */
function newEvent(author: EventAuthor): AuthoredEvent {
  const appId = randomBytes(20).toString('hex');
  return authorEvent(author, {
    id: randomUUID(),
    type: 'app.registered',
    data: { appId, name: `bench ${appId.slice(0, 8)}`, owner: 'bench' },
    time: new Date(),
    actor: 'bench',
    cause: '',
    corr: '',
  });
}

/** Events are made before the clock starts, so that store and bare client are measured on the same work. */
async function perSecond(
  writers: number,
  author: EventAuthor,
  once: (event: AuthoredEvent) => Promise<void>,
): Promise<number> {
  const events = Array.from({ length: EVENTS_PER_ROUND }, () => newEvent(author));
  const began = performance.now();
  await Promise.all(
    Array.from({ length: writers }, async () => {
      for (let event = events.pop(); event !== undefined; event = events.pop()) await once(event);
    }),
  );
  return EVENTS_PER_ROUND / ((performance.now() - began) / 1000);
}
