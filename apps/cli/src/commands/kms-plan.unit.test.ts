import { describe, expect, it } from 'vitest';
import type { EventRow, InstanceRow } from './fleet-types.js';
import { type KeyEpochRow, rekeyPlan } from './kms-plan.js';

const epoch = (keyEpoch: number, status: KeyEpochRow['status']): KeyEpochRow => ({
  ...{ keyEpoch, status, endedSeq: null, reason: '', isHere: true },
});
const grant = (instanceId: string, keyEpoch: number, type = 'grant.issued'): EventRow => ({
  ...{ seq: 1, subject: '', type, time: '', actor: '', corr: '' },
  envelope: { data: { instanceId, keyEpoch } },
});
const instance = (instanceId: string, desired = 'running') =>
  ({ instanceId, appId: 'app', hostId: 'host-a', state: 'healthy', desired }) as InstanceRow;

describe('vouch kms epoch plan', () => {
  const epochs = [epoch(0, 'revoked'), epoch(1, 'tainted'), epoch(2, 'superseded'), epoch(3, 'active')];

  it('lists running instances on old epochs by their newest grant, the most urgent first', () => {
    const grants = [grant('a', 2), grant('b', 1), grant('c', 0), grant('d', 1), grant('d', 3), grant('e', 1)];
    const plan = rekeyPlan(epochs, grants, [...'abcd'].map((id) => instance(id)).concat(instance('e', 'removed')));
    expect(plan.map(({ instanceId, keyEpoch, status }) => [instanceId, keyEpoch, status])).toEqual([
      ['c', 0, 'revoked'],
      ['b', 1, 'tainted'],
      ['a', 2, 'superseded'],
    ]);
    expect(plan.map(({ action }) => action.split(':')[0])).toEqual(['replace', 'relaunch', 'relaunch']);
  });

  it('lists nothing when every grant is of the active epoch, or denied', () => {
    const grants = [grant('a', 3), grant('b', 0, 'grant.denied')];
    expect(rekeyPlan(epochs, grants, [instance('a'), instance('b')])).toEqual([]);
  });
});
