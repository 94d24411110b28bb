import { type ConsumerConfig, JetStreamApiCodes, JetStreamApiError, jetstream, PubHeaders } from '@nats-io/jetstream';
import { createInbox, headers, type NatsConnection, PermissionViolationError } from '@nats-io/transport-node';
import { EventStoreForbiddenError, EventStoreUnavailableError } from '../event-store-errors.js';
import type { RawStoredMessage } from '../stored-event.js';
import { ReconnectWatch } from './reconnect-watch.js';

/** What the server says when it made a consumer. */
export interface CreatedConsumer {
  /** Messages that match and were not yet delivered when the answer was written. */
  readonly pending: number;
  /** Messages already delivered by then. */
  readonly delivered: number;
}

type MessageQuery = { last_by_subj: string } | { seq: number; next_by_subj: string };

/** The few JetStream API requests the log needs, with nothing retried: every error reaches the caller. */
export class LogApi {
  readonly reconnects: ReconnectWatch;
  /** Headers of every append; only the expected position changes, and the client encodes them before it returns. */
  readonly #expectation = headers();
  #expectedLastSeq = -1;

  constructor(
    readonly connection: NatsConnection,
    readonly streamName: string,
    private readonly requestTimeoutMs: number,
  ) {
    this.reconnects = new ReconnectWatch(connection);
    this.#expectation.set(PubHeaders.ExpectedStreamHdr, streamName);
  }

  /** Publishes with the expected last position of the subject; resolves with the stored position. */
  async publish(subject: string, bytes: Uint8Array, expectedLastSeq: number): Promise<number> {
    if (this.#expectedLastSeq !== expectedLastSeq) {
      this.#expectation.set(PubHeaders.ExpectedLastSubjectSequenceHdr, String(expectedLastSeq));
      this.#expectedLastSeq = expectedLastSeq;
    }
    const reply = await this.connection.request(subject, bytes, {
      timeout: this.requestTimeoutMs,
      headers: this.#expectation,
    });
    const ack = answerOf(reply.json()) as { stream?: string; seq?: number };
    if (ack.stream !== this.streamName || !Number.isSafeInteger(ack.seq) || ack.seq === undefined || ack.seq < 1) {
      throw new EventStoreUnavailableError(`${subject}: the server acknowledged without a position`);
    }
    return ack.seq;
  }

  /** Position of the stream's last message, 0 when it is empty. */
  async lastSeq(): Promise<number> {
    const info = (await this.#request(`STREAM.INFO.${this.streamName}`)) as { state: { last_seq: number } };
    return info.state.last_seq;
  }

  /** One message, answered by the stream's leader; undefined when there is none. */
  async message(query: MessageQuery): Promise<RawStoredMessage | undefined> {
    try {
      const { message } = (await this.#request(`STREAM.MSG.GET.${this.streamName}`, query)) as {
        message: { subject: string; seq: number; time: string; data?: string };
      };
      return {
        seq: message.seq,
        subject: message.subject,
        storedAt: new Date(message.time),
        bytes: new Uint8Array(Buffer.from(message.data ?? '', 'base64')),
      };
    } catch (error) {
      if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.NoMessageFound) return undefined;
      throw error;
    }
  }

  /** Makes a short-lived consumer. A single filter is part of the API subject, so that permissions can see it. */
  async createConsumer(config: Partial<ConsumerConfig> & { name: string }): Promise<CreatedConsumer> {
    const subject = `CONSUMER.CREATE.${this.streamName}.${config.name}`;
    const info = (await this.#request(
      config.filter_subject === undefined ? subject : `${subject}.${config.filter_subject}`,
      { stream_name: this.streamName, config, action: 'create' },
    )) as { num_pending: number; delivered: { consumer_seq: number } };
    return { pending: info.num_pending, delivered: info.delivered.consumer_seq };
  }

  /** A fresh subject below the connection's own inbox prefix. */
  newInbox(): string {
    return createInbox(jetstream(this.connection).getOptions().watcherPrefix);
  }

  async #request(api: string, body?: unknown): Promise<unknown> {
    const payload = body === undefined ? '' : JSON.stringify(body);
    const reply = await this.connection.request(`$JS.API.${api}`, payload, { timeout: this.requestTimeoutMs });
    return answerOf(reply.json());
  }
}

/** Throws EventStoreForbiddenError when the server refused the subject itself: repeating cannot help. */
export function throwIfForbidden(error: unknown): void {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof PermissionViolationError) throw new EventStoreForbiddenError(cause.subject, { cause: error });
  }
}

function answerOf(json: unknown): unknown {
  const { error } = json as { error?: { code: number; err_code: number; description: string } };
  if (error !== undefined) throw new JetStreamApiError(error);
  return json;
}
