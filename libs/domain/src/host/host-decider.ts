import { accept, type Decision, type DomainEvent, refuse } from '../decision.js';
import { HOST_ID } from '../ids.js';

/** One host: a machine whose worker can launch CVMs. A cordoned host keeps its guests and gets no new ones. */
export type HostState =
  | { readonly status: 'absent' }
  | {
      readonly status: 'registered';
      readonly hostId: string;
      readonly driver: 'process' | 'qemu';
      readonly capacity: { readonly vcpu: number; readonly memoryMiB: number };
      readonly unsafe: readonly string[];
      readonly cordoned: boolean;
      readonly cordonReason: string;
    };

export interface RegisterHost {
  readonly type: 'RegisterHost';
  readonly hostId: string;
  readonly driver: 'process' | 'qemu';
  readonly capacity: { readonly vcpu: number; readonly memoryMiB: number };
  /** Development-only weakenings of this host, each starting with "unsafe". */
  readonly unsafe: readonly string[];
}
export interface CordonHost {
  readonly type: 'CordonHost';
  readonly hostId: string;
  readonly reason: string;
}
export interface UncordonHost {
  readonly type: 'UncordonHost';
  readonly hostId: string;
}
export type HostCommand = RegisterHost | CordonHost | UncordonHost;
export type HostEvent = DomainEvent<'host.registered' | 'host.cordoned' | 'host.uncordoned'>;

export const initialHost: HostState = { status: 'absent' };

export function decideHost(command: HostCommand, state: HostState): Decision<HostEvent> {
  const { hostId } = command;
  if (command.type === 'RegisterHost') return decideRegistration(command, state);
  if (state.status === 'absent') return refuse('host-unknown', `there is no host ${hostId}`, 'hostId');
  if (command.type === 'CordonHost') {
    if (state.cordoned) return accept();
    if (command.reason.length > 500)
      return refuse('reason-too-long', 'reason must have at most 500 characters', 'reason');
    return accept({ type: 'host.cordoned', data: { hostId, reason: command.reason } });
  }
  return state.cordoned ? accept({ type: 'host.uncordoned', data: { hostId } }) : accept();
}

function decideRegistration(command: RegisterHost, state: HostState): Decision<HostEvent> {
  const { hostId, driver, capacity, unsafe } = command;
  if (!HOST_ID.test(hostId)) {
    return refuse('host-id-invalid', 'hostId must be 1-32 of a-z, 0-9 and "-", starting with a letter', 'hostId');
  }
  if (state.status === 'absent') {
    return accept({
      type: 'host.registered',
      data: { hostId, driver, capacity: { vcpu: capacity.vcpu, memoryMiB: capacity.memoryMiB }, unsafe: [...unsafe] },
    });
  }
  const same =
    state.driver === driver &&
    state.capacity.vcpu === capacity.vcpu &&
    state.capacity.memoryMiB === capacity.memoryMiB &&
    state.unsafe.join() === unsafe.join();
  if (same) return accept();
  const { vcpu, memoryMiB } = state.capacity;
  return refuse(
    'host-exists',
    `host ${hostId} is already registered (${state.driver}, ${vcpu} vcpu, ${memoryMiB} MiB)`,
    'hostId',
  );
}

/** Throws TypeError when the history is impossible (cordoned before registered): a bug or a forged log. */
export function evolveHost(state: HostState, event: HostEvent): HostState {
  if (event.type === 'host.registered') {
    return { status: 'registered', ...event.data, cordoned: false, cordonReason: '' };
  }
  if (state.status === 'absent') throw new TypeError(`${event.type} before host.registered of ${event.data.hostId}`);
  if (event.type === 'host.cordoned') return { ...state, cordoned: true, cordonReason: event.data.reason };
  return { ...state, cordoned: false, cordonReason: '' };
}
