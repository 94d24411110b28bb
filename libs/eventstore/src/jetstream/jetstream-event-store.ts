import type { NatsConnection } from '@nats-io/transport-node';
import type { AuthoredEvent, KeyDirectory } from '@vouch/domain';
import type { AppendOutcome, EventStore, ReadOptions, StoredEvent } from '../event-store.js';
import { EventStoreUnavailableError } from '../event-store-errors.js';

export interface JetStreamEventStoreOptions {
  readonly connection: NatsConnection;
  readonly directory: KeyDirectory;
  /** Default EVENTS. */
  readonly streamName?: string;
  /**
   * How single subjects are read: `message-get` asks the stream leader (default); `filtered-consumer` uses a short-lived
   * consumer bound to the subject, so that permissions can hold a host worker to its own subjects.
   */
  readonly readMode?: 'message-get' | 'filtered-consumer';
}

/** The event store on JetStream. */
export class JetStreamEventStore implements EventStore {
  constructor(readonly options: JetStreamEventStoreOptions) {}

  async append(_event: AuthoredEvent, _expectedLastSeq: number): Promise<AppendOutcome> {
    throw new EventStoreUnavailableError('not connected');
  }

  async readSubject(_subject: string): Promise<StoredEvent[]> {
    throw new EventStoreUnavailableError('not connected');
  }

  async lastOf(_subject: string): Promise<StoredEvent | undefined> {
    throw new EventStoreUnavailableError('not connected');
  }

  async lastSeq(): Promise<number> {
    throw new EventStoreUnavailableError('not connected');
  }

  // biome-ignore lint/correctness/useYield: signature first
  async *read(_options: ReadOptions): AsyncGenerator<StoredEvent> {
    throw new EventStoreUnavailableError('not connected');
  }
}
