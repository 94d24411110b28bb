import type { NatsConnection } from '@nats-io/transport-node';
import { type AuthoredEvent, type KeyDirectory, verifyBeforeAppend } from '@vouch/domain';
import { STREAM_NAMES } from '../bus/bus-definition.js';
import type { AppendOutcome, EventStore, ReadOptions, StoredEvent } from '../event-store.js';
import { EventStoreForbiddenError, EventStoreUnavailableError } from '../event-store-errors.js';
import { assertPosition } from '../position.js';
import type { RawStoredMessage } from '../stored-event.js';
import { openStored, openStoredAsync } from '../stored-event.js';
import { appendEvent } from './append-event.js';
import { FilteredConsumerReader } from './filtered-consumer-reader.js';
import { LogApi, throwIfForbidden } from './log-api.js';
import { LogReader } from './log-reader.js';
import { MessageGetReader, type SubjectReader } from './subject-reader.js';

export interface JetStreamEventStoreOptions {
  readonly connection: NatsConnection;
  readonly directory: KeyDirectory;
  /** Default EVENTS. */
  readonly streamName?: string;
  /**
   * How single subjects are read: `message-get` asks the stream leader (default); `filtered-consumer` uses a short-lived
   * consumer bound to the subject, so that permissions can hold a host worker to its own subjects; `read` is then refused.
   */
  readonly readMode?: 'message-get' | 'filtered-consumer';
  /** One request to the server may take this long, ms. Default 2,000. */
  readonly requestTimeoutMs?: number;
  /** An append or a finite read gives up after this long without a settled answer, ms. Default 15,000. */
  readonly deadlineMs?: number;
}

/** Events of a finite read whose signatures are being checked at once. */
const OPENED_AHEAD = 64;

/** The event store on JetStream. Behaves alike on every server version from the floor up. */
export class JetStreamEventStore implements EventStore {
  readonly #api: LogApi;
  readonly #reader: SubjectReader;
  readonly #directory: KeyDirectory;
  readonly #deadlineMs: number;

  constructor(options: JetStreamEventStoreOptions) {
    const requestTimeoutMs = options.requestTimeoutMs ?? 2_000;
    this.#api = new LogApi(options.connection, options.streamName ?? STREAM_NAMES.events, requestTimeoutMs);
    this.#reader =
      options.readMode === 'filtered-consumer'
        ? new FilteredConsumerReader(this.#api, requestTimeoutMs)
        : new MessageGetReader(this.#api);
    this.#directory = options.directory;
    this.#deadlineMs = options.deadlineMs ?? 15_000;
  }

  async append(event: AuthoredEvent, expectedLastSeq: number): Promise<AppendOutcome> {
    assertPosition('expectedLastSeq', expectedLastSeq, 0);
    // One unattributable event stops every reader, so it is refused before it reaches the log.
    verifyBeforeAppend(event, this.#directory);
    const limits = { deadlineMs: this.#deadlineMs };
    return appendEvent(this.#api, this.#reader, this.#directory, event, expectedLastSeq, limits);
  }

  async readSubject(subject: string): Promise<StoredEvent[]> {
    const messages = await this.#answered(subject, () => this.#reader.after(subject, 0));
    return messages.map((message) => openStored(message, this.#directory));
  }

  async lastOf(subject: string): Promise<StoredEvent | undefined> {
    const last = await this.#answered(subject, () => this.#reader.last(subject));
    return last === undefined ? undefined : openStored(last, this.#directory);
  }

  lastSeq(): Promise<number> {
    return this.#answered(this.#api.streamName, () => this.#api.lastSeq());
  }

  async *read(options: ReadOptions): AsyncGenerator<StoredEvent> {
    if (this.#reader instanceof FilteredConsumerReader) {
      // Its user may not pull from consumers, which could be another service's.
      throw new EventStoreForbiddenError(`$JS.API.CONSUMER.MSG.NEXT.${this.#api.streamName}.*`);
    }
    const reader = new LogReader(this.#api, options, this.#deadlineMs);
    if (options.follow) {
      for await (const message of reader.messages()) yield openStored(message, this.#directory);
    } else {
      yield* this.#openedAhead(reader.messages());
    }
  }

  /** Events of a finite read in order; the signatures of the next few are checked meanwhile, on other threads. */
  async *#openedAhead(messages: AsyncIterable<RawStoredMessage>): AsyncGenerator<StoredEvent> {
    const opening: Promise<StoredEvent>[] = [];
    const iterator = messages[Symbol.asyncIterator]();
    try {
      for (let isThrough = false; !isThrough || opening.length > 0; ) {
        while (!isThrough && opening.length < OPENED_AHEAD) {
          const next = iterator.next().then(({ done, value }) => (done === true ? undefined : value));
          // What is read and checked already goes out before an error of the reader behind it.
          const message = await next.catch((error: unknown) => ({ error }));
          if (message === undefined) isThrough = true;
          else if ('error' in message) {
            isThrough = true;
            opening.push(Promise.reject(message.error));
          } else opening.push(openStoredAsync(message, this.#directory));
          opening.at(-1)?.catch(() => undefined);
        }
        const first = opening.shift();
        if (first !== undefined) yield await first;
      }
    } finally {
      await iterator.return?.();
    }
  }

  /** Turns any failure to get an answer into the one error callers retry on. */
  async #answered<T>(what: string, ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      throwIfForbidden(error);
      throw new EventStoreUnavailableError(`${what}: the event store did not answer`, { cause: error });
    }
  }
}
