import type { DomainEvent } from '../decision.js';

/**
 * What was observed of an instance in its current placement epoch: by its host (vm.*) and by the KMS (grant.*). Facts of
 * an earlier epoch or another host are not kept: a fenced guest's reports say nothing about the present one.
 */
export interface GuestFacts {
  readonly launched: boolean;
  /** The guest is not running now: it exited, or could not be launched. */
  readonly exited: boolean;
  /** Exits nobody asked for, since the placement. */
  readonly unrequestedExits: number;
  readonly lastExitReason: string;
  readonly healthyPorts: readonly number[] | null;
  readonly launchFailure: { readonly code: string; readonly reason: string } | null;
  readonly grant: {
    readonly outcome: 'issued' | 'denied';
    readonly failedCheck: string;
    readonly reason: string;
  } | null;
  readonly removed: boolean;
}

export type GuestFactEvent = DomainEvent<
  | 'vm.launched'
  | 'vm.boot-progressed'
  | 'vm.app-healthy'
  | 'vm.launch-failed'
  | 'vm.exited'
  | 'vm.removed'
  | 'grant.issued'
  | 'grant.denied'
>;

export const noFacts: GuestFacts = {
  launched: false,
  exited: false,
  unrequestedExits: 0,
  lastExitReason: '',
  healthyPorts: null,
  launchFailure: null,
  grant: null,
  removed: false,
};

/** Adds one fact of the current epoch; the caller has compared host and epoch. */
export function evolveFacts(facts: GuestFacts, event: GuestFactEvent): GuestFacts {
  switch (event.type) {
    case 'vm.launched':
      return { ...facts, launched: true, exited: false, healthyPorts: null, launchFailure: null };
    case 'vm.boot-progressed':
      return facts;
    case 'vm.app-healthy':
      return { ...facts, launched: true, exited: false, healthyPorts: event.data.ports };
    case 'vm.launch-failed':
      return { ...facts, exited: true, launchFailure: { code: event.data.code, reason: event.data.reason } };
    case 'vm.exited':
      return {
        ...facts,
        exited: true,
        healthyPorts: null,
        unrequestedExits: facts.unrequestedExits + (event.data.requested ? 0 : 1),
        lastExitReason: event.data.reason,
      };
    case 'vm.removed':
      return { ...facts, exited: true, healthyPorts: null, removed: true };
    case 'grant.issued':
      return { ...facts, grant: { outcome: 'issued', failedCheck: '', reason: '' } };
    case 'grant.denied': {
      const { failedCheck, reason } = event.data;
      return { ...facts, grant: { outcome: 'denied', failedCheck, reason } };
    }
  }
}
