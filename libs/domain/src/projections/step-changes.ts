import { placed } from './instance-changes.js';
import type { ProjectedEvent } from './projected-event.js';
import type { MatchOf, RowChange } from './row-change.js';
import { summaryOf } from './step-summary.js';
import { OPEN_OPERATION, type OperationStep } from './tables.js';

/** Most steps an operation keeps: a guest that restarts for ever must not grow a row for ever. */
export const MAX_STEPS = 500;

/**
 * The event as a step of the operations it belongs to. The control plane names the operation itself (`corr`). Hosts and
 * the KMS speak of an instance: their events join the open operations about it, and only when they speak of the
 * placement in force, so that no host can write into the story of another host's instance.
 */
export function stepChanges(event: ProjectedEvent): RowChange[] {
  const { envelope } = event;
  switch (envelope.type) {
    case 'operation.requested':
      return [];
    case 'operation.waiting':
    case 'operation.succeeded':
    case 'operation.failed':
      return [appendStep(event, [{ operation_id: envelope.data.operationId, state: OPEN_OPERATION }])];
    case 'vm.launched':
    case 'vm.boot-progressed':
    case 'vm.app-healthy':
    case 'vm.launch-failed':
    case 'vm.exited':
    case 'vm.removed':
    case 'attestation.submitted':
    case 'grant.issued':
    case 'grant.denied':
      return [appendStep(event, [ofInstance(envelope.data.instanceId)], placed(envelope.data))];
    case 'certificate.issued': {
      const { instanceId, epoch } = envelope.data;
      return [appendStep(event, [ofInstance(instanceId)], { instance_id: instanceId, epoch })];
    }
    default:
      return envelope.corr === '' ? [] : [appendStep(event, [{ operation_id: envelope.corr, state: OPEN_OPERATION }])];
  }
}

export function stepOf({ seq, envelope }: ProjectedEvent): OperationStep {
  return { time: envelope.time, type: envelope.type, subject: envelope.subject, summary: summaryOf(envelope), seq };
}

function ofInstance(instanceId: string): MatchOf<'operation'> {
  return { target: instanceId, state: OPEN_OPERATION };
}

function appendStep(
  event: ProjectedEvent,
  where: readonly MatchOf<'operation'>[],
  inForce?: MatchOf<'instance'>,
): RowChange {
  return {
    op: 'update',
    table: 'operation',
    where,
    ...(inForce === undefined ? {} : { given: { table: 'instance', match: inForce } as const }),
    set: { seq: event.seq },
    append: { column: 'steps', item: stepOf(event), max: MAX_STEPS },
  };
}
