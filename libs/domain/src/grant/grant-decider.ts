import { accept, type Decision, type DomainEvent, refuse } from '../decision.js';
import type { EventData } from '../event-catalog.js';

/** Every decision about one instance's keys, by the request (attestation.submitted event id) it answers. */
export interface GrantState {
  readonly decisions: ReadonlyMap<string, 'issued' | 'denied'>;
  /** Highest placement epoch a grant was issued in; 0 when there was none. */
  readonly issuedEpoch: number;
}

export type GrantCommand =
  | { readonly type: 'IssueGrant'; readonly data: EventData<'grant.issued'> }
  | { readonly type: 'DenyGrant'; readonly data: EventData<'grant.denied'> };
export type GrantEvent = DomainEvent<'grant.issued' | 'grant.denied'>;

export const initialGrant: GrantState = { decisions: new Map(), issuedEpoch: 0 };

/**
 * One decision per request id, for ever. A grant is refused when any check failed (a skipped one is the policy's
 * business and stays visible) or when a later epoch was already granted; a denial must name a check that failed.
 */
export function decideGrant(command: GrantCommand, state: GrantState): Decision<GrantEvent> {
  const { requestId, instanceId, epoch, checks } = command.data;
  const decided = state.decisions.get(requestId);
  if (decided !== undefined) {
    return refuse(
      'request-decided',
      `request ${requestId} of instance ${instanceId} is already ${decided}`,
      'requestId',
    );
  }
  if (command.type === 'DenyGrant') {
    const { failedCheck } = command.data;
    if (!checks.some((check) => check.name === failedCheck && check.outcome === 'fail')) {
      return refuse('failed-check-unnamed', `no check "${failedCheck}" failed; a denial names one`, 'failedCheck');
    }
    return accept({ type: 'grant.denied', data: command.data });
  }
  const failed = checks.find((check) => check.outcome === 'fail');
  if (failed !== undefined) {
    return refuse('check-failed', `check ${failed.name} failed: ${failed.detail}`, 'checks');
  }
  if (epoch < state.issuedEpoch) {
    return refuse('epoch-stale', `epoch ${state.issuedEpoch} was already granted; ${epoch} is over`, 'epoch');
  }
  return accept({ type: 'grant.issued', data: command.data });
}

export function evolveGrant(state: GrantState, event: GrantEvent): GrantState {
  const outcome = event.type === 'grant.issued' ? 'issued' : 'denied';
  return {
    decisions: new Map(state.decisions).set(event.data.requestId, outcome),
    issuedEpoch: outcome === 'issued' ? Math.max(state.issuedEpoch, event.data.epoch) : state.issuedEpoch,
  };
}
