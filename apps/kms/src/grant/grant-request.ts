import type { EventData } from '@vouch/domain';
import type { StoredEvent } from '@vouch/eventstore';

/** An `attestation.submitted` event as a request for keys. */
export interface GrantRequest {
  /** Event id. */
  readonly requestId: string;
  /** Stream sequence of the event. */
  readonly requestSeq: number;
  readonly data: EventData<'attestation.submitted'>;
}

export function grantRequestOf(event: StoredEvent<'attestation.submitted'>): GrantRequest {
  return { requestId: event.envelope.id, requestSeq: event.seq, data: event.envelope.data };
}
