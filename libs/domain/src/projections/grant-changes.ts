import type { ProjectedEvent } from './projected-event.js';
import type { RowChange } from './row-change.js';

/** One row per decision of the KMS. The first decision of a request stands. */
export function grantChanges({ seq, envelope }: ProjectedEvent): RowChange[] {
  if (envelope.type !== 'grant.issued' && envelope.type !== 'grant.denied') return [];
  const { requestId, instanceId, appId, hostId, epoch, checks, policy, composeHash, unsafe } = envelope.data;
  const outcome =
    envelope.type === 'grant.issued'
      ? { outcome: 'issued' as const, failed_check: null, reason: null }
      : { outcome: 'denied' as const, failed_check: envelope.data.failedCheck, reason: envelope.data.reason };
  const row = {
    request_id: requestId,
    grant_seq: seq,
    instance_id: instanceId,
    app_id: appId,
    host_id: hostId,
    epoch,
    ...outcome,
    checks,
    policy,
    compose_hash: composeHash,
    unsafe,
    decided_at: envelope.time,
  };
  return [{ op: 'insert', table: 'key_grant', row }];
}
