import type { NatsConnection } from '@nats-io/transport-node';
import { type CustomTransportStrategy, type MessageHandler, Server } from '@nestjs/microservices';
import type { KeyDirectory } from '@vouch/domain';
import { CONSUMERS, type EventStore, STREAM_NAMES } from '@vouch/eventstore';
import { DurableSubscription } from './durable-subscription.js';
import type { DurableEvents, EventHandler, EventSubscription, OrderedEvents } from './event-subscription.js';
import { handlerResult } from './handler-result.js';
import { OrderedSubscription } from './ordered-subscription.js';
import type { TransportParts } from './transport-parts.js';

const DEFAULT_MAX_IN_FLIGHT = 8;

export interface JetStreamTransportOptions extends TransportParts {
  readonly store: EventStore;
  readonly directory: KeyDirectory;
  /** Needed for durable consumers only. */
  readonly connection?: NatsConnection;
}

interface Wanted {
  readonly pattern: string;
  readonly callback: MessageHandler;
  readonly extras: Partial<DurableEvents & OrderedEvents>;
}

/**
 * Nest transport for the event log. `@EventPattern('evt.attestation.>', { durable: 'kms-attestation' })` binds a handler
 * to a durable consumer; `@EventPattern('evt.>', { ordered: true })` reads the log in order. Each decorated method has
 * a subscription of its own. Handlers get (StoredEvent, JetStreamContext); `@MessagePattern` handlers are not its concern.
 */
export class JetStreamTransport extends Server implements CustomTransportStrategy {
  override readonly propagatesEventHandlerErrors = true;
  readonly #wanted: Wanted[] = [];
  #subscriptions: EventSubscription[] = [];

  constructor(private readonly options: JetStreamTransportOptions) {
    super();
  }

  /** Keeps handlers of the same pattern apart: each has its own position and its own failures. */
  override addHandler(pattern: unknown, callback: MessageHandler, isEventHandler = false, extras: object = {}): void {
    if (isEventHandler) this.#wanted.push({ pattern: this.normalizePattern(pattern as string), callback, extras });
  }

  listen(callback: (error?: unknown) => void): void {
    try {
      this.#subscriptions = this.#wanted.map((wanted) => this.#subscription(wanted));
    } catch (error) {
      callback(error);
      return;
    }
    for (const subscription of this.#subscriptions) subscription.start();
    callback();
  }

  /** Stops intake at once; resolves when running handlers are done. */
  async close(): Promise<void> {
    const closing = this.#subscriptions;
    this.#subscriptions = [];
    await Promise.all(closing.map((subscription) => subscription.close()));
  }

  #subscription({ pattern, callback, extras }: Wanted): EventSubscription {
    const handle: EventHandler = async (event, context) => {
      await handlerResult(callback(event, context));
    };
    if (extras.ordered === true) {
      const name = `ordered read of ${pattern}`;
      return new OrderedSubscription(name, pattern, extras.fromSeq ?? 1, this.options.store, handle, this.options);
    }
    const { durable } = extras;
    if (durable === undefined || this.options.connection === undefined) {
      throw new TypeError(
        `@EventPattern('${pattern}') needs { durable: name } with a NATS connection, or { ordered: true }`,
      );
    }
    const definition = Object.values(CONSUMERS).find(({ config }) => config.durable_name === durable);
    const options = {
      connection: this.options.connection,
      directory: this.options.directory,
      stream: definition?.stream ?? STREAM_NAMES.events,
      durable,
      maxInFlight: extras.maxInFlight ?? DEFAULT_MAX_IN_FLIGHT,
      inOrder: extras.inOrder === true,
    };
    return new DurableSubscription(options, handle, this.options);
  }

  on(): never {
    throw new TypeError('this transport has no events to listen to; see ServiceState');
  }

  unwrap<T>(): T {
    return this.options.connection as T;
  }
}
