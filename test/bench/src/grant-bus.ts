import { createPublicKey, randomBytes, randomUUID } from 'node:crypto';
import { jetstream } from '@nats-io/jetstream';
import { type AuthoredEvent, authorEvent, type EventData, KeyDirectory } from '@vouch/domain';
import { type EventStore, JetStreamEventStore } from '@vouch/eventstore';
import type { InProcessKms } from '@vouch/kms/in-process';
import { makeTestAuthors, startTestBus, type TestAuthors } from '@vouch/testkit';
import { HOST_ID } from './grant-evidence.js';
import { median } from './harness.js';

type Submission = EventData<'attestation.submitted'>;
const GRANTS = 150;

/**
 * The same grants through a real nats-server with fsync on every write, one at a time: the host's submission, the read of the
 * instance's history at the leader, the decision, the append of the grant, the sealed message. Without the auditor: what
 * waiting for its checkpoint costs is part of `deploy`.
 */
export const EventLogOnBus = {
  measure: async (
    kms: InProcessKms,
    requests: readonly Submission[],
    say: (line: string) => void,
  ): Promise<Record<string, number>> => {
    const authors = makeTestAuthors();
    const bus = await startTestBus();
    try {
      const directory = directoryWith(authors, kms);
      const host = new JetStreamEventStore({
        connection: await bus.connect({ service: 'host-worker', node: HOST_ID }),
        directory,
        readMode: 'filtered-consumer',
      });
      const connection = await bus.connect({ service: 'kms', node: '' });
      const log = new JetStreamEventStore({ connection, directory });
      const js = jetstream(connection);
      const stages = { submitMs: [], readMs: [], decideMs: [], appendMs: [], deliverMs: [] } as Record<
        string,
        number[]
      >;
      for (let at = 0; at < GRANTS; at += 1) {
        const request = requests[at % requests.length] as Submission;
        const instanceId = randomBytes(20).toString('hex');
        const time = async <T>(stage: string, run: () => Promise<T>): Promise<T> => {
          const began = performance.now();
          const answer = await run();
          stages[stage]?.push(performance.now() - began);
          return answer;
        };
        await time('submitMs', () => append(host, submissionOf(authors, { ...request, instanceId })));
        await time('readMs', () => log.readSubject(`evt.grant.${instanceId}`));
        const grant = await time('decideMs', () => kms.grant(randomUUID(), request));
        await time('appendMs', () => append(log, grant));
        await time('deliverMs', () => js.publish(`sealed.${HOST_ID}.${instanceId}`, grant.bytes));
      }
      const medians = Object.fromEntries(Object.entries(stages).map(([stage, times]) => [stage, median(times)]));
      const total = Object.values(medians).reduce((sum, ms) => sum + ms, 0);
      for (const [stage, ms] of Object.entries(medians)) {
        say(`through NATS, ${stage.replace('Ms', '')}: ${ms.toFixed(2)} ms, ${((100 * ms) / total).toFixed(0)} %`);
      }
      const named = Object.entries(medians).map(([stage, ms]) => [
        `bus${stage[0]?.toUpperCase()}${stage.slice(1)}`,
        ms,
      ]);
      return { throughNatsPerSecond: 1000 / total, ...Object.fromEntries(named) };
    } finally {
      await bus.stop();
    }
  },
} as const;

/** The test authors' keys, with the KMS's own event key. */
function directoryWith(authors: TestAuthors, { author }: InProcessKms): KeyDirectory {
  const publicKey = createPublicKey(author.privateKey).export({ format: 'jwk' }).x ?? '';
  const others = authors.trust.keys.filter(({ service }) => service !== 'kms');
  return new KeyDirectory({ ...authors.trust, keys: [...others, { service: 'kms', node: '', publicKey }] });
}

function submissionOf(authors: TestAuthors, data: Submission): AuthoredEvent {
  const said = { actor: 'bench', cause: '', corr: '' };
  const time = new Date();
  return authorEvent(authors.of('host-worker', HOST_ID), {
    ...{ id: randomUUID(), type: 'attestation.submitted', data, time },
    ...said,
  }) as AuthoredEvent;
}

async function append(store: EventStore, event: AuthoredEvent): Promise<void> {
  const last = await store.lastOf(event.envelope.subject);
  const outcome = await store.append(event, last?.seq ?? 0);
  if (!outcome.ok) throw new Error('an append met a conflict');
}
