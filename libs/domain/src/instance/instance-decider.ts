import { accept, type Decision, type DomainEvent, refuse } from '../decision.js';

/** Where an instance runs. The epoch grows by one with each placement; keys and routes hold for one epoch only. */
export interface Placement {
  readonly hostId: string;
  readonly epoch: number;
  /** IPv4 address the gateway reaches the guest at. */
  readonly address: string;
}

export type DesiredState = 'running' | 'stopped' | 'removed';

/** One running copy of a release. `desired` is what was asked for, never what was observed. */
export type InstanceState =
  | { readonly status: 'absent' }
  | {
      readonly status: 'created';
      readonly instanceId: string;
      readonly appId: string;
      readonly releaseId: string;
      readonly composeHash: string;
      /** 20 bytes hex; instance_id = SHA-256(seed || app_id)[0..20]. */
      readonly seed: string;
      readonly placement: Placement | null;
      readonly desired: DesiredState;
    };

export interface CreateInstance {
  readonly type: 'CreateInstance';
  readonly instanceId: string;
  readonly appId: string;
  readonly releaseId: string;
  readonly composeHash: string;
  readonly seed: string;
}
export interface PlaceInstance {
  readonly type: 'PlaceInstance';
  readonly instanceId: string;
  readonly hostId: string;
  readonly epoch: number;
  readonly address: string;
  readonly reason: string;
}
export interface StopInstance {
  readonly type: 'StopInstance';
  readonly instanceId: string;
}
export interface RemoveInstance {
  readonly type: 'RemoveInstance';
  readonly instanceId: string;
}
export type InstanceCommand = CreateInstance | PlaceInstance | StopInstance | RemoveInstance;
export type InstanceEvent = DomainEvent<
  'instance.created' | 'instance.placed' | 'instance.stop-requested' | 'instance.remove-requested'
>;

export const initialInstance: InstanceState = { status: 'absent' };

export function decideInstance(command: InstanceCommand, state: InstanceState): Decision<InstanceEvent> {
  const { instanceId } = command;
  if (command.type === 'CreateInstance') {
    if (state.status === 'created') return accept();
    const { appId, releaseId, composeHash, seed } = command;
    return accept({ type: 'instance.created', data: { instanceId, appId, releaseId, composeHash, seed } });
  }
  if (state.status === 'absent') return refuse('instance-unknown', `there is no instance ${instanceId}`, 'instanceId');
  if (command.type === 'PlaceInstance') return decidePlacement(command, state);
  if (command.type === 'StopInstance') {
    if (state.desired === 'stopped') return accept();
    if (state.desired === 'removed') {
      return refuse('instance-removed', `instance ${instanceId} is being removed or is gone`, 'instanceId');
    }
    return accept({ type: 'instance.stop-requested', data: { instanceId } });
  }
  if (state.desired === 'removed') return accept();
  return accept({ type: 'instance.remove-requested', data: { instanceId } });
}

function decidePlacement(
  command: PlaceInstance,
  state: Extract<InstanceState, { status: 'created' }>,
): Decision<InstanceEvent> {
  const { instanceId, hostId, epoch, address, reason } = command;
  const { placement } = state;
  if (placement?.epoch === epoch && placement.hostId === hostId && placement.address === address) return accept();
  if (state.desired !== 'running') {
    return refuse(
      'instance-not-wanted',
      `instance ${instanceId} is wanted ${state.desired}, not running`,
      'instanceId',
    );
  }
  const next = (placement?.epoch ?? 0) + 1;
  if (epoch !== next) {
    return refuse('epoch-stale', `instance ${instanceId} is at epoch ${next - 1}; only ${next} can follow`, 'epoch');
  }
  return accept({ type: 'instance.placed', data: { hostId, instanceId, epoch, address, reason } });
}

/** Throws TypeError when the history is impossible: a bug or a forged log. */
export function evolveInstance(state: InstanceState, event: InstanceEvent): InstanceState {
  if (event.type === 'instance.created') {
    return { status: 'created', ...event.data, placement: null, desired: 'running' };
  }
  if (state.status === 'absent') {
    throw new TypeError(`${event.type} before instance.created of ${event.data.instanceId}`);
  }
  if (event.type === 'instance.placed') {
    const { hostId, epoch, address } = event.data;
    return { ...state, placement: { hostId, epoch, address } };
  }
  return { ...state, desired: event.type === 'instance.stop-requested' ? 'stopped' : 'removed' };
}
