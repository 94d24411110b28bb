import { AckPolicy, type ConsumerConfig, DeliverPolicy } from '@nats-io/jetstream';
import { deferred, nanos, nuid } from '@nats-io/transport-node';
import { EventStoreUnavailableError } from '../event-store-errors.js';
import type { RawStoredMessage } from '../stored-event.js';
import { readDelivery } from './delivery.js';
import type { LogApi } from './log-api.js';
import type { SubjectReader } from './subject-reader.js';

/** How long the server keeps a consumer that nobody listens to, ms. */
const INACTIVE_MS = 2_000;

/**
 * Reads a subject through a push consumer that delivers into the reader's own inbox and vanishes when it stops listening.
 * It needs one right only, to create a consumer below its own subjects, and can touch no other consumer. In a cluster
 * the consumer may run beside a follower and be slightly behind; the expected position still guards every write.
 */
export class FilteredConsumerReader implements SubjectReader {
  constructor(
    private readonly api: LogApi,
    private readonly timeoutMs: number,
  ) {}

  async last(subject: string): Promise<RawStoredMessage | undefined> {
    return (await this.#read(subject, { deliver_policy: DeliverPolicy.Last })).at(-1);
  }

  after(subject: string, afterSeq: number): Promise<RawStoredMessage[]> {
    return this.#read(subject, { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: afterSeq + 1 });
  }

  async firstAfter(subject: string, afterSeq: number): Promise<RawStoredMessage | undefined> {
    return (await this.after(subject, afterSeq)).at(0);
  }

  async #read(subject: string, start: Partial<ConsumerConfig>): Promise<RawStoredMessage[]> {
    const { connection } = this.api;
    const inbox = this.api.newInbox();
    const messages: RawStoredMessage[] = [];
    const done = deferred<void>();
    let total = Number.POSITIVE_INFINITY;
    const subscription = connection.subscribe(inbox, {
      callback: (error, msg) => {
        const delivery = error === null ? readDelivery(msg) : undefined;
        if (error !== null) done.reject(error);
        if (delivery === undefined) return;
        if (delivery.consumerSeq !== messages.length + 1)
          done.reject(new EventStoreUnavailableError(`${subject}: a delivery was lost`));
        else messages.push(delivery.message);
        if (messages.length >= total) done.resolve();
      },
    });
    done.catch(() => undefined);
    const timer = setTimeout(
      () => done.reject(new EventStoreUnavailableError(`${subject}: not read within ${this.timeoutMs} ms`)),
      this.timeoutMs,
    );
    try {
      const created = await this.api.createConsumer({
        ...start,
        name: `subject-${nuid.next()}`,
        filter_subject: subject,
        deliver_subject: inbox,
        ack_policy: AckPolicy.None,
        inactive_threshold: nanos(INACTIVE_MS),
        mem_storage: true,
        num_replicas: 1,
      });
      total = created.delivered + created.pending;
      if (messages.length >= total) done.resolve();
      await done;
      return messages;
    } finally {
      clearTimeout(timer);
      subscription.unsubscribe();
    }
  }
}
