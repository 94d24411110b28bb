import { jetstream } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import type { SealedMessage } from './sealed-message.js';

/** The bus did not confirm a sealed message in time. It may be there: sending it again does no harm. */
export class DeliveryUnavailableError extends Error {
  readonly code = 'delivery-unavailable';
  readonly retryable = true;
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'DeliveryUnavailableError';
  }
}

/** The way of a decision to its guest. */
export interface SealedPublisher {
  /** Resolves when the message is stored. Throws DeliveryUnavailableError. */
  publish(place: { readonly hostId: string; readonly instanceId: string }, message: SealedMessage): Promise<void>;
}

/** Publishes on the SEALED stream; repeats of one request within its window are stored once. */
export class JetStreamSealedPublisher implements SealedPublisher {
  constructor(private readonly connection: NatsConnection) {}

  async publish(
    { hostId, instanceId }: { readonly hostId: string; readonly instanceId: string },
    message: SealedMessage,
  ): Promise<void> {
    const subject = `sealed.${hostId}.${instanceId}`;
    try {
      await jetstream(this.connection).publish(subject, JSON.stringify(message), { msgID: message.requestId });
    } catch (cause) {
      throw new DeliveryUnavailableError(`${subject} was not stored: ${(cause as Error).message}`, { cause });
    }
  }
}
