import type { StoredEvent } from '@vouch/eventstore';
import type { GrantDecider } from './grant-decider.js';
import type { GrantDelivery } from './grant-delivery.js';
import { grantRequestOf } from './grant-request.js';

/**
 * Answers one request for keys: decide once and for ever, prove that the decision is in the log, only then deliver. Each
 * step can be repeated, so a crash anywhere ends, after redelivery, in the same one decision and the same bytes.
 */
export class RequestAnswerer {
  constructor(
    private readonly decider: GrantDecider,
    private readonly delivery: GrantDelivery,
  ) {}

  /** Throws retryable errors when log, chain, collateral, auditor or bus are away: nothing was released then. */
  async answer(event: StoredEvent<'attestation.submitted'>): Promise<void> {
    const grant = await this.decider.decided(grantRequestOf(event), event.envelope.corr);
    await this.delivery.deliver(grant);
  }
}
