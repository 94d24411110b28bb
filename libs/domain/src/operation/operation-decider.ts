import { accept, type Decision, type DomainEvent, refuse } from '../decision.js';
import type { EventData } from '../event-catalog.js';

type Requested = EventData<'operation.requested'>;
export type CommandName = Requested['command'];

export const operationStates = ['requested', 'waiting', 'succeeded', 'failed'] as const;

/** One durable piece of asked-for work. Its `operation.requested` is the acknowledgement; it ends once, for ever. */
export type OperationState =
  | { readonly status: 'absent' }
  | ({
      readonly status: (typeof operationStates)[number];
      /** Why it waits or failed; empty otherwise. */
      readonly reason: string;
      /** Stable failure code; empty unless failed. */
      readonly code: string;
      readonly result: Readonly<Record<string, unknown>>;
    } & Requested);

export interface RequestOperation extends Requested {
  readonly type: 'RequestOperation';
}
export interface WaitOperation {
  readonly type: 'WaitOperation';
  readonly operationId: string;
  readonly reason: string;
}
export interface SucceedOperation {
  readonly type: 'SucceedOperation';
  readonly operationId: string;
  readonly result: Record<string, unknown>;
}
export interface FailOperation {
  readonly type: 'FailOperation';
  readonly operationId: string;
  readonly code: string;
  readonly reason: string;
}
export type OperationCommand = RequestOperation | WaitOperation | SucceedOperation | FailOperation;
export type OperationEvent = DomainEvent<
  'operation.requested' | 'operation.waiting' | 'operation.succeeded' | 'operation.failed'
>;

export const initialOperation: OperationState = { status: 'absent' };

/** A request repeated with the same requestHash holds already; with another one the idempotency key was reused. */
export function decideOperation(command: OperationCommand, state: OperationState): Decision<OperationEvent> {
  const { operationId } = command;
  if (command.type === 'RequestOperation') {
    const { type: _, ...data } = command;
    if (state.status === 'absent') return accept({ type: 'operation.requested', data });
    if (state.requestHash === command.requestHash) return accept();
    return refuse(
      'idempotency-key-reused',
      `this Idempotency-Key already names operation ${operationId} (${state.command}) with another request`,
    );
  }
  if (state.status === 'absent') {
    return refuse('operation-unknown', `there is no operation ${operationId}`, 'operationId');
  }
  if (state.status === 'succeeded' || state.status === 'failed') {
    return refuse('operation-finished', `operation ${operationId} has already ${state.status}`, 'operationId');
  }
  if (command.type === 'WaitOperation') {
    const reason = command.reason.slice(0, 1000);
    if (state.status === 'waiting' && state.reason === reason) return accept();
    return accept({ type: 'operation.waiting', data: { operationId, reason } });
  }
  if (command.type === 'SucceedOperation') {
    return accept({ type: 'operation.succeeded', data: { operationId, result: command.result } });
  }
  const { code, reason } = command;
  return accept({ type: 'operation.failed', data: { operationId, code, reason: reason.slice(0, 2000) } });
}

/** Throws TypeError when the history is impossible: a bug or a forged log. */
export function evolveOperation(state: OperationState, event: OperationEvent): OperationState {
  if (event.type === 'operation.requested') {
    return { status: 'requested', reason: '', code: '', result: {}, ...event.data };
  }
  if (state.status === 'absent') {
    throw new TypeError(`${event.type} before operation.requested of ${event.data.operationId}`);
  }
  switch (event.type) {
    case 'operation.waiting':
      return { ...state, status: 'waiting', reason: event.data.reason };
    case 'operation.succeeded':
      return { ...state, status: 'succeeded', reason: '', result: event.data.result };
    case 'operation.failed':
      return { ...state, status: 'failed', code: event.data.code, reason: event.data.reason };
  }
}
