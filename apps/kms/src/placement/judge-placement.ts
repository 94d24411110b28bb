import type { InstanceState } from '@vouch/domain';
import { type Finding, fails, holds } from '../checks/check-ledger.js';

/** A place an instance runs at: one host, one epoch. */
export interface Place {
  readonly hostId: string;
  readonly epoch: number;
}

/** Check `placement.host`: the instance exists and the log places it on this very host. */
export function judgeHost(instance: InstanceState, { hostId }: Place): Finding {
  if (instance.status === 'absent') return fails('there is no such instance');
  if (instance.placement === null) return fails('the instance is not placed');
  if (instance.placement.hostId !== hostId)
    return fails(`the instance is placed on ${instance.placement.hostId}, not ${hostId}`);
  return holds(`placed on ${hostId}`);
}

/** Check `placement.epoch`: it is the epoch in force. */
export function judgeEpoch(instance: InstanceState, { epoch }: Place): Finding {
  const current = instance.status === 'absent' ? undefined : instance.placement?.epoch;
  return current === epoch
    ? holds(`epoch ${epoch} is in force`)
    : fails(`epoch ${current ?? 'none'} is in force, not ${epoch}`);
}

/** Check `placement.wanted`: nobody asked for the instance to stop or go. */
export function judgeWanted(instance: InstanceState): Finding {
  if (instance.status === 'absent') return fails('there is no such instance');
  return instance.desired === 'running' ? holds('wanted running') : fails(`the instance is wanted ${instance.desired}`);
}
