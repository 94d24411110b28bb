import {
  decideGrant,
  evolveGrant,
  type GrantCommand,
  type GrantEvent,
  type GrantState,
  initialGrant,
} from '@vouch/domain';
import type { EventStore, StoredEvent } from '@vouch/eventstore';
import { deterministicEventId, type EventWriter } from '@vouch/platform';
import type { GrantEventBody } from './grant-event.js';
import type { GrantRequest } from './grant-request.js';

export type StoredGrant = StoredEvent<'grant.issued'> | StoredEvent<'grant.denied'>;

/** The decisions about one instance, as they were read. */
export interface GrantHistory {
  readonly state: GrantState;
  readonly events: readonly StoredGrant[];
  /** Position of the subject's last event; 0 when there is none. */
  readonly lastSeq: number;
}

/** A later epoch was granted while this one was decided, or another writer was faster. Deciding again settles it. */
class GrantOvertakenError extends Error {
  readonly code = 'grant-overtaken';
  readonly retryable = true;
  constructor(message: string) {
    super(message);
    this.name = 'GrantOvertakenError';
  }
}

/** The grant events: one per request id, for ever. */
export class GrantLog {
  constructor(
    private readonly store: EventStore,
    private readonly writer: EventWriter,
  ) {}

  async history(instanceId: string): Promise<GrantHistory> {
    const events = (await this.store.readSubject(`evt.grant.${instanceId}`)) as StoredGrant[];
    const state = events.reduce<GrantState>(
      (folded, event) => evolveGrant(folded, event.envelope as unknown as GrantEvent),
      initialGrant,
    );
    return { state, events, lastSeq: events.at(-1)?.seq ?? 0 };
  }

  /** The decision about this request, if it was made. */
  decisionOf(history: GrantHistory, requestId: string): StoredGrant | undefined {
    return history.events.find(({ envelope }) => envelope.data.requestId === requestId);
  }

  /**
   * Appends the decision right after `history`; answers the stored event. Throws GrantOvertakenError when the subject has
   * moved on, EventStoreUnavailableError when the outcome could not be settled.
   */
  async append(request: GrantRequest, history: GrantHistory, body: GrantEventBody, corr: string): Promise<StoredGrant> {
    const command = {
      type: body.type === 'grant.issued' ? 'IssueGrant' : 'DenyGrant',
      data: body.data,
    } as GrantCommand;
    const decision = decideGrant(command, history.state);
    if (!decision.ok) throw new GrantOvertakenError(decision.refusal.message);
    const { requestId } = request;
    const outcome = await this.writer.write(body.type, body.data, {
      id: deterministicEventId('grant', requestId),
      actor: `host-worker/${request.data.hostId}`,
      cause: requestId,
      corr,
      expected: history.lastSeq,
    });
    if (!outcome.ok) {
      throw new GrantOvertakenError(`another grant event of the instance took position ${outcome.lastSeq}`);
    }
    const stored = this.decisionOf(await this.history(request.data.instanceId), requestId);
    if (stored === undefined) throw new GrantOvertakenError('the stored decision could not be read back');
    return stored;
  }
}
