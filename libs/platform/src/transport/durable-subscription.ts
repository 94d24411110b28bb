import { type Consumer, type ConsumerMessages, type JsMsg, jetstream } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { type KeyDirectory, readEvent, verifyAuthor } from '@vouch/domain';
import { SequenceGapError, type StoredEvent } from '@vouch/eventstore';
import { asError, backOffMs, pause, saysRetryable } from '../back-off.js';
import type { EventHandler, EventSubscription } from './event-subscription.js';
import { JetStreamContext } from './jetstream-context.js';
import { SlotPool } from './slot-pool.js';
import type { TransportParts } from './transport-parts.js';

const PULL_MS = 10_000;
const FIRST_RETRY_MS = 250;
const RETRY_LIMIT_MS = 30_000;
const ACK_MS = 5_000;
const NANOS_PER_MS = 1_000_000;

export interface DurableOptions {
  readonly connection: NatsConnection;
  readonly directory: KeyDirectory;
  readonly stream: string;
  readonly durable: string;
  readonly maxInFlight: number;
  readonly inOrder: boolean;
}

/**
 * Pulls from a durable consumer as many events as there are free slots, acknowledges after the handler's success (and
 * waits for the server's confirmation), asks for redelivery after a delay when it fails, and tells the server that work
 * goes on while a handler takes long. Nothing is ever terminated or skipped: an event that cannot be attributed, a hole
 * in the order, or an error that says it cannot be retried is fatal; other errors come back until they are handled,
 * and hold the service's readiness meanwhile.
 */
export class DurableSubscription implements EventSubscription {
  readonly name: string;
  readonly #abort = new AbortController();
  readonly #slots: SlotPool;
  #messages: ConsumerMessages | undefined;
  #running: Promise<void> = Promise.resolve();
  /** Last position handled, for `inOrder`; undefined until the consumer's own floor is known. */
  #handledSeq: number | undefined;
  #ackWaitMs = RETRY_LIMIT_MS;

  constructor(
    private readonly options: DurableOptions,
    private readonly handle: EventHandler,
    private readonly parts: TransportParts,
  ) {
    this.name = `consumer ${options.durable}`;
    this.#slots = new SlotPool(options.inOrder ? 1 : options.maxInFlight);
  }

  start(): void {
    this.parts.state.hold(this.name, 'not connected to its consumer yet');
    this.#running = this.#run();
  }

  async close(): Promise<void> {
    this.#abort.abort();
    this.#messages?.stop();
    await this.#running;
    await this.#slots.idle();
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort;
    for (let attempt = 1; !signal.aborted; attempt += 1) {
      try {
        const consumer = await this.#open();
        this.parts.state.release(this.name);
        attempt = 1;
        await this.#pull(consumer);
      } catch (error) {
        if (signal.aborted) return;
        this.parts.state.hold(this.name, asError(error).message);
        this.parts.logger.warn({ consumer: this.name, err: asError(error).message }, 'the consumer is not available');
      }
      await pause(backOffMs(attempt, FIRST_RETRY_MS, RETRY_LIMIT_MS), signal);
    }
  }

  async #open(): Promise<Consumer> {
    const { connection, stream, durable } = this.options;
    const consumer = await jetstream(connection).consumers.get(stream, durable);
    const info = await consumer.info();
    this.#handledSeq ??= info.ack_floor.stream_seq;
    this.#ackWaitMs = Number(info.config.ack_wait ?? 0) / NANOS_PER_MS || RETRY_LIMIT_MS;
    return consumer;
  }

  async #pull(consumer: Consumer): Promise<void> {
    while (!this.#abort.signal.aborted) {
      const free = await this.#slots.someFree();
      if (this.#abort.signal.aborted) return;
      this.#messages = await consumer.fetch({ max_messages: free, expires: PULL_MS });
      for await (const message of this.#messages) {
        await this.#slots.take();
        void this.#deliver(message).finally(() => this.#slots.give());
      }
    }
  }

  async #deliver(message: JsMsg): Promise<void> {
    const { signal } = this.#abort;
    if (signal.aborted) return message.nak();
    const { metrics } = this.parts;
    metrics.eventsInFlight.inc({ consumer: this.name });
    const stopTimer = metrics.eventSeconds.startTimer({ consumer: this.name });
    const keepAlive = setInterval(() => message.working(), this.#ackWaitMs / 3);
    let type = 'unknown';
    try {
      const event = this.#opened(message);
      type = event.envelope.type;
      const deliveries = message.info.deliveryCount;
      await this.handle(event, new JetStreamContext({ consumer: this.name, deliveries, signal }));
      this.#handledSeq = Math.max(this.#handledSeq ?? 0, event.seq);
      await this.#acknowledge(message);
      metrics.eventsHandled.inc({ consumer: this.name, type, outcome: 'ok' });
      metrics.consumerPosition.set({ consumer: this.name }, event.seq);
      this.parts.state.release(this.name);
    } catch (error) {
      this.#refused(message, type, asError(error));
    } finally {
      clearInterval(keepAlive);
      stopTimer();
      metrics.eventsInFlight.dec({ consumer: this.name });
    }
  }

  #opened(message: JsMsg): StoredEvent {
    const { seq, subject, data: bytes } = message;
    if (this.options.inOrder && this.#handledSeq !== undefined) {
      const isNext = seq === this.#handledSeq + 1 || seq === this.#handledSeq;
      if (!isNext) throw new SequenceGapError(this.#handledSeq + 1, seq);
    }
    const event = readEvent(bytes, subject);
    verifyAuthor(event, this.options.directory);
    const storedAt = new Date(message.info.timestampNanos / NANOS_PER_MS);
    return { seq, subject, storedAt, envelope: event.envelope, bytes } as StoredEvent;
  }

  /** A lost acknowledgement only means another delivery: handlers are idempotent. */
  async #acknowledge(message: JsMsg): Promise<void> {
    const isConfirmed = await message.ackAck({ timeout: ACK_MS }).catch(() => false);
    if (!isConfirmed)
      this.parts.logger.warn({ consumer: this.name, seq: message.seq }, 'acknowledgement not confirmed');
  }

  #refused(message: JsMsg, type: string, error: Error): void {
    const fields = { consumer: this.name, seq: message.seq, type, deliveries: message.info.deliveryCount, err: error };
    if (saysRetryable(error) === false) {
      this.parts.metrics.eventsHandled.inc({ consumer: this.name, type, outcome: 'fatal' });
      this.parts.logger.error(fields, 'an event cannot be handled: the consumer stops at it');
      this.#abort.abort();
      this.#messages?.stop();
      this.parts.state.fail(this.name, error);
      return;
    }
    this.parts.metrics.eventsHandled.inc({ consumer: this.name, type, outcome: 'retry' });
    this.parts.logger.warn(fields, 'handling failed: the event comes back');
    this.parts.state.hold(this.name, error.message);
    message.nak(backOffMs(message.info.deliveryCount, FIRST_RETRY_MS, RETRY_LIMIT_MS));
  }
}
