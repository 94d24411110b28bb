import type { StoredEvent } from '@vouch/eventstore';
import type { JetStreamContext } from './jetstream-context.js';

/** `@EventPattern(pattern, extras)` of a durable consumer, shared by the replicas of a service. */
export interface DurableEvents {
  /** Name of the consumer the migration step made; its stream and filter are defined there. */
  readonly durable: string;
  /** Events handed to the handler at once, at most. Default 8; 1 with `inOrder`. */
  readonly maxInFlight?: number;
  /** One at a time, and a position that is not the next one is fatal. For unfiltered consumers. */
  readonly inOrder?: true;
}

/** `@EventPattern(pattern, extras)` of an ordered read of this process alone: every event, in order, from a position. */
export interface OrderedEvents {
  readonly ordered: true;
  /** First log position; default 1. */
  readonly fromSeq?: number;
}

export type EventHandler = (event: StoredEvent, context: JetStreamContext) => Promise<void>;

/** One running subscription. `close` stops intake at once and waits for the handlers that run. */
export interface EventSubscription {
  readonly name: string;
  start(): void;
  close(): Promise<void>;
}
