import type { EventRow, InstanceRow } from './fleet-types.js';

/** A key epoch as `kms epoch list` tells it. */
export interface KeyEpochRow {
  readonly keyEpoch: number;
  readonly status: 'prepared' | 'active' | 'superseded' | 'tainted' | 'revoked';
  readonly endedSeq: number | null;
  readonly reason: string;
  /** False when this machine has no root file of it. */
  readonly isHere: boolean;
  readonly rootCaSpki?: string;
  readonly eventKey?: string;
}

/** A running instance whose keys are not of the active key epoch, and what to do about it. */
export interface RekeyRow {
  readonly instanceId: string;
  readonly appId: string;
  readonly hostId: string | null;
  readonly state: string;
  readonly keyEpoch: number;
  readonly status: KeyEpochRow['status'];
  /** Lowest first: tainted keys before merely old ones. */
  readonly order: number;
  readonly action: string;
}

const ORDER: Readonly<Record<KeyEpochRow['status'], number>> = {
  revoked: 0,
  tainted: 1,
  superseded: 2,
  prepared: 3,
  active: 3,
};

/** The newest `grant.issued` of each instance says which epoch its keys are of; only instances that should run are listed. */
export function rekeyPlan(
  epochs: readonly KeyEpochRow[],
  grants: readonly EventRow[],
  instances: readonly InstanceRow[],
): readonly RekeyRow[] {
  const keyEpochs = new Map<string, number>();
  for (const { type, envelope } of grants) {
    const { instanceId, keyEpoch } = envelope?.data ?? {};
    if (type === 'grant.issued') keyEpochs.set(String(instanceId), Number(keyEpoch));
  }
  return instances
    .flatMap(({ instanceId, appId, hostId, state, desired }): RekeyRow[] => {
      const keyEpoch = keyEpochs.get(instanceId);
      const status = epochs.find((epoch) => epoch.keyEpoch === keyEpoch)?.status;
      if (keyEpoch === undefined || status === undefined || status === 'active' || desired !== 'running') return [];
      const action = status === 'revoked' ? 'replace: its old data cannot be opened' : 'relaunch: it attests anew';
      return [{ instanceId, appId, hostId, state, keyEpoch, status, order: ORDER[status], action }];
    })
    .sort((a, b) => a.order - b.order || a.instanceId.localeCompare(b.instanceId));
}
