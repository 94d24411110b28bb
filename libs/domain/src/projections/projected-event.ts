import type { EventEnvelope } from '../envelope.js';

/** What a projection sees of an event: its place in the log and its envelope. */
export interface ProjectedEvent<E extends EventEnvelope = EventEnvelope> {
  /** Stream sequence, from 1. */
  readonly seq: number;
  readonly envelope: E;
}
