import { type Command, type CommandOf, commandSchema } from '../command/command.js';
import { decideCommand } from '../command/decide-command.js';
import type { DomainEvent } from '../decision.js';
import type { InstanceState } from '../instance/instance-decider.js';
import { decideOperation, type OperationState } from '../operation/operation-decider.js';
import { type HostRoom, schedule } from '../scheduler/schedule.js';
import type { FleetView } from './fleet-view.js';
import type { GuestFacts } from './guest-facts.js';
import { type Heartbeats, hostRooms, isLive } from './host-room.js';

/**
 * One thing to do for an operation. Steps of one operation are carried out in order, and the rest is dropped when one
 * cannot be: the next advance, on a newer view, says what is still missing.
 */
export type Step =
  | { readonly kind: 'append'; readonly event: DomainEvent; readonly expectedLastSeq: number }
  /** Claim an address for the instance, then append `instance.placed` with it. */
  | {
      readonly kind: 'place';
      readonly instanceId: string;
      readonly hostId: string;
      readonly epoch: number;
      readonly reason: string;
      readonly expectedLastSeq: number;
    };

export interface Advance {
  readonly operationId: string;
  /** Who asked: the actor of the events the steps append. */
  readonly principal: string;
  readonly steps: readonly Step[];
}

/** This many exits nobody asked for end a deployment. */
const MAX_UNREQUESTED_EXITS = 3;

type Operation = Extract<OperationState, { operationId: string }>;
type CreatedInstance = Extract<InstanceState, { status: 'created' }>;

/** What an operation's own rules say: things to append, a placement to make, or how it stands. */
type Verdict =
  | { readonly verdict: 'do'; readonly events: readonly DomainEvent[] }
  | { readonly verdict: 'place'; readonly instance: CreatedInstance; readonly wanted: string | null }
  | { readonly verdict: 'pending'; readonly reason?: string }
  | {
      readonly verdict: 'succeeded';
      readonly events?: readonly DomainEvent[];
      readonly result: Record<string, unknown>;
    }
  | {
      readonly verdict: 'failed';
      readonly events?: readonly DomainEvent[];
      readonly code: string;
      readonly reason: string;
    };

/**
 * The process manager, level-triggered: for each unfinished operation, the next steps towards its end, from the view
 * alone. It remembers nothing, so a crash at any point, a lost job or a step carried out twice only costs delay.
 */
export function advance(view: FleetView, now: Date, heartbeats: Heartbeats): Advance[] {
  let rooms: HostRoom[] | undefined;
  const result: Advance[] = [];
  for (const operation of view.unfinished()) {
    const command = commandSchema.safeParse({ ...operation.input, type: operation.command });
    let verdict: Verdict = command.success
      ? judge(command.data, view, now, heartbeats)
      : { verdict: 'failed', code: 'command-malformed', reason: 'the logged command cannot be read' };
    const late = now.getTime() >= Date.parse(operation.deadline);
    const standsStill = verdict.verdict === 'pending' || verdict.verdict === 'place';
    if (late && standsStill) verdict = deadlineExceeded(operation, view);
    if (verdict.verdict === 'place') {
      rooms ??= hostRooms(view, now, heartbeats);
      const steps = placementSteps(operation, verdict.instance, verdict.wanted, rooms, view);
      if (steps.length > 0) result.push({ operationId: operation.operationId, principal: operation.principal, steps });
      continue;
    }
    const steps = stepsOf(operation, verdict, view);
    if (steps.length > 0) result.push({ operationId: operation.operationId, principal: operation.principal, steps });
  }
  return result;
}

function judge(command: Command, view: FleetView, now: Date, heartbeats: Heartbeats): Verdict {
  const decision = decideCommand(command, view);
  if (!decision.ok) return { verdict: 'failed', code: decision.refusal.code, reason: decision.refusal.message };
  switch (command.type) {
    case 'DeployInstance':
      if (decision.events.length > 0) return { verdict: 'do', events: decision.events };
      return judgeDeploy(command, view, now, heartbeats);
    case 'StopInstance':
    case 'RemoveInstance':
      if (decision.events.length > 0) return { verdict: 'do', events: decision.events };
      return judgeEnd(command, view, now, heartbeats);
    case 'RegisterApp':
      return { verdict: 'succeeded', events: decision.events, result: { appId: command.appId } };
    case 'CreateRelease':
      return { verdict: 'succeeded', events: decision.events, result: releaseResult(command, view, decision.events) };
    default:
      return { verdict: 'succeeded', events: decision.events, result: { hostId: command.hostId } };
  }
}

function releaseResult(
  command: CommandOf<'CreateRelease'>,
  view: FleetView,
  events: readonly DomainEvent[],
): Record<string, unknown> {
  const { appId, releaseId } = command;
  const created = events.find((event) => event.type === 'release.created')?.data ?? view.release(releaseId);
  return { appId, releaseId, ...('composeHash' in created ? { composeHash: created.composeHash } : {}) };
}

/**
 * A deployment succeeds only with a grant and a healthy app in the same epoch: health alone is a host's word. One that
 * fails leaves no guest running.
 */
function judgeDeploy(
  command: CommandOf<'DeployInstance'>,
  view: FleetView,
  now: Date,
  heartbeats: Heartbeats,
): Verdict {
  const { instanceId } = command;
  const { state, facts } = view.instance(instanceId);
  if (state.status === 'absent') return { verdict: 'pending' };
  const { placement, desired } = state;
  if (placement !== null) {
    if (facts.grant?.outcome === 'issued' && facts.healthyPorts !== null) {
      const { hostId, epoch, address } = placement;
      const { releaseId, composeHash } = state;
      const ports = [...facts.healthyPorts];
      return {
        verdict: 'succeeded',
        result: { instanceId, releaseId, composeHash, hostId, epoch, address, ports },
      };
    }
    const failure = deployFailure(facts);
    if (failure !== undefined) return { verdict: 'failed', events: stopEvents(view, instanceId), ...failure };
  }
  if (desired !== 'running') {
    const reason = `instance ${instanceId} was asked to be ${desired} before it was healthy`;
    return { verdict: 'failed', code: 'superseded', reason };
  }
  if (placement === null) return { verdict: 'place', instance: state, wanted: command.hostId };
  if (!facts.launched && !isLive(heartbeats, placement.hostId, now)) {
    return { verdict: 'pending', reason: `host ${placement.hostId} sends no heartbeat` };
  }
  return { verdict: 'pending' };
}

function deployFailure(facts: GuestFacts): { code: string; reason: string } | undefined {
  if (facts.grant?.outcome === 'denied') {
    return { code: 'grant-denied', reason: `check ${facts.grant.failedCheck} failed: ${facts.grant.reason}` };
  }
  if (facts.launchFailure !== null) {
    const { code, reason } = facts.launchFailure;
    return { code: 'launch-failed', reason: `${code}: ${reason}` };
  }
  if (facts.unrequestedExits >= MAX_UNREQUESTED_EXITS) {
    return { code: 'guest-exited', reason: `exited ${facts.unrequestedExits} times: ${facts.lastExitReason}` };
  }
  return undefined;
}

function judgeEnd(
  command: CommandOf<'StopInstance'> | CommandOf<'RemoveInstance'>,
  view: FleetView,
  now: Date,
  heartbeats: Heartbeats,
): Verdict {
  const { instanceId } = command;
  const { state, facts } = view.instance(instanceId);
  if (state.status === 'absent') return { verdict: 'pending' };
  const { placement } = state;
  const over = placement === null || facts.removed || (command.type === 'StopInstance' && facts.exited);
  if (over) return { verdict: 'succeeded', result: { instanceId } };
  if (!isLive(heartbeats, placement.hostId, now)) {
    return { verdict: 'pending', reason: `host ${placement.hostId} sends no heartbeat` };
  }
  return { verdict: 'pending' };
}

function deadlineExceeded(operation: Operation, view: FleetView): Verdict {
  const last = operation.status === 'waiting' ? `; last waiting because ${operation.reason}` : '';
  return {
    verdict: 'failed',
    code: 'deadline-exceeded',
    reason: `not finished by ${operation.deadline}${last}`,
    events: operation.command === 'DeployInstance' ? stopEvents(view, operation.target) : [],
  };
}

/** Stops what a failed deployment left; an instance without a host is removed at once, since nothing runs. */
function stopEvents(view: FleetView, instanceId: string): DomainEvent[] {
  const { state } = view.instance(instanceId);
  if (state.status === 'absent' || state.desired !== 'running') return [];
  if (state.placement === null) return [{ type: 'instance.remove-requested', data: { instanceId } }];
  return [{ type: 'instance.stop-requested', data: { instanceId } }];
}

function placementSteps(
  operation: Operation,
  instance: CreatedInstance,
  wanted: string | null,
  rooms: HostRoom[],
  view: FleetView,
): Step[] {
  const { instanceId, releaseId } = instance;
  const release = view.release(releaseId);
  if (release.status === 'absent') return [];
  const outcome = schedule(rooms, release.resources, wanted);
  if (!outcome.ok) return stepsOf(operation, { verdict: 'pending', reason: outcome.reason }, view);
  // The same pass may place several: what this one takes is gone for the next.
  rooms.forEach((room, index) => {
    if (room.hostId !== outcome.hostId) return;
    const { vcpu, memoryMiB } = release.resources;
    rooms[index] = { ...room, freeVcpu: room.freeVcpu - vcpu, freeMemoryMiB: room.freeMemoryMiB - memoryMiB };
  });
  const created = { type: 'instance.stop-requested', data: { instanceId } } as const;
  return [
    {
      kind: 'place',
      instanceId,
      hostId: outcome.hostId,
      epoch: (instance.placement?.epoch ?? 0) + 1,
      reason: outcome.reason,
      expectedLastSeq: view.lastSeqFor(created),
    },
  ];
}

function stepsOf(operation: Operation, verdict: Exclude<Verdict, { verdict: 'place' }>, view: FleetView): Step[] {
  const { operationId } = operation;
  const append = (event: DomainEvent): Step => ({ kind: 'append', event, expectedLastSeq: view.lastSeqFor(event) });
  const finish = (decision: ReturnType<typeof decideOperation>): Step[] =>
    decision.ok ? decision.events.map(append) : [];
  switch (verdict.verdict) {
    case 'do':
      return verdict.events.map(append);
    case 'pending':
      if (verdict.reason === undefined) return [];
      return finish(decideOperation({ type: 'WaitOperation', operationId, reason: verdict.reason }, operation));
    case 'succeeded': {
      const { result } = verdict;
      const done = decideOperation({ type: 'SucceedOperation', operationId, result }, operation);
      return [...(verdict.events ?? []).map(append), ...finish(done)];
    }
    case 'failed': {
      const { code, reason } = verdict;
      const done = decideOperation({ type: 'FailOperation', operationId, code, reason }, operation);
      return [...(verdict.events ?? []).map(append), ...finish(done)];
    }
  }
}
