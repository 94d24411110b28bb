import type { ProjectedEvent } from './projected-event.js';
import type { RowChange } from './row-change.js';

/** One row per change of on-chain policy; a reorganisation marks it, and never removes it. */
export function policyChanges({ seq, envelope }: ProjectedEvent): RowChange[] {
  if (envelope.type === 'policy.change-orphaned') {
    const where = [{ change_id: envelope.data.changeId }];
    return [{ op: 'update', table: 'policy_change', where, set: { orphaned: true, seq } }];
  }
  if (envelope.type !== 'policy.changed') return [];
  const { chainId, contract, app, name, value, enabled, block, blockHash, blockTime, transaction, logIndex } =
    envelope.data;
  const row = {
    change_id: envelope.id,
    chain_id: chainId,
    contract,
    app_id: app,
    name,
    value,
    enabled,
    block,
    block_hash: blockHash,
    block_time: blockTime,
    transaction,
    log_index: logIndex,
    orphaned: false,
    seq,
  };
  return [{ op: 'insert', table: 'policy_change', row }];
}
