import { randomBytes, randomUUID } from 'node:crypto';
import { jetstream } from '@nats-io/jetstream';
import { type AuthoredEvent, authorEvent, type EventAuthor } from '@vouch/domain';
import { JetStreamEventStore } from '@vouch/eventstore';
import { makeTestAuthors, startTestBus, type TestAuthors } from '@vouch/testkit';
import { type Bench, type BenchResult, interleaved, median, medianRatio } from './harness.js';

const ROUNDS = 9;
const EVENTS_PER_ROUND = 1_500;
const WRITERS = 8;
/** The server flushes older stores to disk while it runs; room for every round's events. */
const STREAM_BYTES = 2 * 1024 * 1024 * 1024;

/**
 * Events appended and acknowledged per second: our store (expected position, verified author, typed outcome) against a
 * bare client that publishes the same bytes to the same stream of the same server, with one writer and with eight, with
 * fsync on every write and with the server's default. The bare client is measured twice: publishing only, and with the
 * same expected-position header, which is what any client pays for optimistic concurrency. The last figure adds what an
 * author does before: schema check, canonical form, Ed25519 signature.
 */
export const appendBench: Bench = {
  name: 'append',
  summary: 'events/s appended with acks on a real nats-server, against a bare client on the same server',
  run: async (say): Promise<BenchResult> => {
    const authors = makeTestAuthors();
    say('fsync on every write');
    const always = await onServer(authors, false, say);
    say("fsync by the server's default");
    const byDefault = await onServer(authors, true, say);
    return {
      metrics: { ...named(always.ours, ''), ...named(byDefault.ours, 'DefaultSync') },
      peers: { ...named(always.peers, ''), ...named(byDefault.peers, 'DefaultSync') },
      ratios: { ...named(always.ratios, ''), ...named(byDefault.ratios, 'DefaultSync') },
    };
  },
};

interface Figures {
  readonly ours: Readonly<Record<string, number>>;
  readonly peers: Readonly<Record<string, number>>;
  readonly ratios: Readonly<Record<string, number>>;
}

function named(figures: Readonly<Record<string, number>>, suffix: string): Record<string, number> {
  return Object.fromEntries(Object.entries(figures).map(([name, value]) => [`${name}${suffix}`, value]));
}

async function onServer(
  authors: TestAuthors,
  unsafeSyncByDefault: boolean,
  say: (line: string) => void,
): Promise<Figures> {
  const bus = await startTestBus({ unsafeSyncByDefault, provision: { eventsMaxBytes: STREAM_BYTES } });
  try {
    const user = { service: 'control-api', node: '' } as const;
    const bare = jetstream(await bus.connect(user));
    const store = new JetStreamEventStore({ connection: await bus.connect(user), directory: authors.directory });
    const author = authors.of('control-api');
    const append = async (event: AuthoredEvent): Promise<void> => {
      const outcome = await store.append(event, 0);
      if (!outcome.ok) throw new Error('an append to a fresh subject met a conflict');
    };
    const publish = async (event: AuthoredEvent): Promise<void> => {
      await bare.publish(event.envelope.subject, event.bytes);
    };
    const expecting = { expect: { streamName: 'EVENTS', lastSubjectSequence: 0 } };
    const publishExpecting = async (event: AuthoredEvent): Promise<void> => {
      await bare.publish(event.envelope.subject, event.bytes, expecting);
    };
    const rounds = await interleaved(
      ROUNDS,
      {
        append: () => perSecond(1, author, append),
        bare: () => perSecond(1, author, publish),
        bareExpecting: () => perSecond(1, author, publishExpecting),
        append8: () => perSecond(WRITERS, author, append),
        bare8: () => perSecond(WRITERS, author, publish),
        bareExpecting8: () => perSecond(WRITERS, author, publishExpecting),
        authorAndAppend: () => perSecond(1, author, () => append(newEvent(author))),
      },
      say,
    );
    return {
      ours: {
        appendPerSecond: median(rounds.append),
        appendEightWritersPerSecond: median(rounds.append8),
        authorSignAppendPerSecond: median(rounds.authorAndAppend),
      },
      peers: {
        barePublishPerSecond: median(rounds.bare),
        barePublishEightWritersPerSecond: median(rounds.bare8),
        bareExpectingPerSecond: median(rounds.bareExpecting),
        bareExpectingEightWritersPerSecond: median(rounds.bareExpecting8),
      },
      ratios: {
        append: medianRatio(rounds.append, rounds.bare),
        appendEightWriters: medianRatio(rounds.append8, rounds.bare8),
        appendToBareExpecting: medianRatio(rounds.append, rounds.bareExpecting),
        appendToBareExpectingEightWriters: medianRatio(rounds.append8, rounds.bareExpecting8),
        authorSignAppend: medianRatio(rounds.authorAndAppend, rounds.bare),
      },
    };
  } finally {
    await bus.stop();
  }
}

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
