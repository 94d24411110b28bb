import { evolveInstance, type InstanceEvent, type InstanceState, initialInstance } from '@vouch/domain';
import type { StoredEvent } from '@vouch/eventstore';

/** Checks of a decision that follow from the instance's own events and its release. */
export type PlacementCheck = 'placement.host' | 'placement.epoch' | 'placement.wanted' | 'release.compose-hash';

export interface PlacementQuestion {
  readonly hostId: string;
  readonly epoch: number;
  /** App and compose hash the guest measured; undefined when no event log was bound. */
  readonly measured: { readonly appId: string; readonly composeHash: string } | undefined;
}

/**
 * The answers the log gives to a placement check between the request and the decision. The KMS read the instance
 * somewhere between the two, and events may lie between them: each state in between counts.
 */
export function placementAnswers(
  check: PlacementCheck,
  question: PlacementQuestion,
  events: readonly StoredEvent[],
  requestSeq: number,
): ReadonlySet<boolean> {
  let state: InstanceState = initialInstance;
  const answers = new Set<boolean>();
  let isAsked = false;
  for (const event of events) {
    if (event.seq > requestSeq && !isAsked) {
      answers.add(holds(check, question, state));
      isAsked = true;
    }
    state = evolveInstance(state, event.envelope as unknown as InstanceEvent);
    if (isAsked) answers.add(holds(check, question, state));
  }
  if (!isAsked) answers.add(holds(check, question, state));
  return answers;
}

function holds(check: PlacementCheck, { hostId, epoch, measured }: PlacementQuestion, state: InstanceState): boolean {
  if (state.status === 'absent') return false;
  switch (check) {
    case 'placement.host':
      return state.placement?.hostId === hostId;
    case 'placement.epoch':
      return state.placement?.epoch === epoch;
    case 'placement.wanted':
      return state.desired === 'running';
    case 'release.compose-hash':
      return measured !== undefined && measured.appId === state.appId && measured.composeHash === state.composeHash;
  }
}
