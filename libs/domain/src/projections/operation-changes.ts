import type { ProjectedEvent } from './projected-event.js';
import type { MatchOf, RowChange } from './row-change.js';
import { stepOf } from './step-changes.js';
import { OPEN_OPERATION } from './tables.js';

/** Rows of operations. An operation ends once: what comes after its end changes nothing. */
export function operationChanges(event: ProjectedEvent): RowChange[] {
  const { seq, envelope } = event;
  const { time } = envelope;
  switch (envelope.type) {
    case 'operation.requested': {
      const { operationId, command, principal, target, deadline, requestHash } = envelope.data;
      const row = {
        operation_id: operationId,
        command,
        principal,
        target,
        state: 'requested',
        code: '',
        reason: '',
        result: null,
        requested_at: time,
        finished_at: null,
        deadline,
        request_hash: requestHash,
        steps: [stepOf(event)],
        seq,
      } as const;
      return [{ op: 'insert', table: 'operation', row }];
    }
    case 'operation.waiting': {
      const { operationId, reason } = envelope.data;
      const set = { state: 'waiting', reason, seq } as const;
      return [{ op: 'update', table: 'operation', where: [open(operationId)], set }];
    }
    case 'operation.succeeded': {
      const { operationId, result } = envelope.data;
      const set = { state: 'succeeded', reason: '', result, finished_at: time, seq } as const;
      return [{ op: 'update', table: 'operation', where: [open(operationId)], set }];
    }
    case 'operation.failed': {
      const { operationId, code, reason } = envelope.data;
      const set = { state: 'failed', code, reason, finished_at: time, seq } as const;
      return [{ op: 'update', table: 'operation', where: [open(operationId)], set }];
    }
    default:
      return [];
  }
}

function open(operationId: string): MatchOf<'operation'> {
  return { operation_id: operationId, state: OPEN_OPERATION };
}
