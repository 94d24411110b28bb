import type { EventData } from '../event-catalog.js';
import type { ProjectedEvent } from './projected-event.js';
import type { MatchOf, RowChange } from './row-change.js';
import type { InstanceProjectedState, RowOf } from './tables.js';

type Place = Pick<EventData<'vm.removed'>, 'instanceId' | 'hostId' | 'epoch'>;

/** States in which a guest of the current epoch may still be on its way to its keys. */
const BEFORE_GRANT: readonly InstanceProjectedState[] = ['placed', 'launching', 'attesting', 'denied', 'failed'];
/** States that say why an instance does not run: neither an exit nor a stop overwrites them. */
const ENDED_WITH_REASON: readonly InstanceProjectedState[] = ['denied', 'failed'];
const LIVE: readonly InstanceProjectedState[] = ['placed', 'launching', 'attesting', 'granted', 'healthy'];

/**
 * The state machine of an instance row. What was asked for (`instance.*`) moves it at once; what was observed (`vm.*`,
 * `attestation.*`, `grant.*`) moves it only when it speaks of the placement in force: same host, same epoch. An old
 * host, or a host that never had the instance, changes nothing.
 *
 *     created -> placed -> launching -> attesting -> granted -> healthy
 *                              any of these -> denied | failed | stopping -> stopped | removed
 */
export function instanceChanges({ seq, envelope }: ProjectedEvent): RowChange[] {
  const { time } = envelope;
  const change = (match: MatchOf<'instance'>, set: Partial<RowOf<'instance'>>): RowChange => ({
    op: 'update',
    table: 'instance',
    where: [match],
    set: { ...set, updated_at: time, seq },
  });
  switch (envelope.type) {
    case 'instance.created': {
      return [{ op: 'insert', table: 'instance', row: createdRow(envelope.data, time, seq) }];
    }
    case 'instance.placed': {
      const { instanceId, hostId, epoch, address, reason } = envelope.data;
      return [
        change(
          { instance_id: instanceId },
          { host_id: hostId, epoch, address, state: 'placed', running: false, reason },
        ),
      ];
    }
    case 'instance.stop-requested': {
      const one = { instance_id: envelope.data.instanceId };
      return [
        change(
          { ...one, state: ['created'] },
          { desired: 'stopped', state: 'stopped', reason: 'stopped before placement' },
        ),
        // What was denied or failed stays so, with its reason: a stop of what ended by itself is no better end.
        change({ ...one, state: LIVE }, { desired: 'stopped', state: 'stopping' }),
        change(one, { desired: 'stopped' }),
      ];
    }
    case 'instance.remove-requested': {
      const one = { instance_id: envelope.data.instanceId };
      return [
        change({ ...one, epoch: 0 }, { desired: 'removed', state: 'removed', reason: 'removed before placement' }),
        change(
          { ...one, state: [...LIVE, ...ENDED_WITH_REASON, 'stopping', 'stopped'] },
          { desired: 'removed', state: 'stopping' },
        ),
        change(one, { desired: 'removed' }),
      ];
    }
    default:
      return observedChanges({ seq, envelope }, change);
  }
}

type Change = (match: MatchOf<'instance'>, set: Partial<RowOf<'instance'>>) => RowChange;

function observedChanges({ envelope }: ProjectedEvent, change: Change): RowChange[] {
  switch (envelope.type) {
    case 'vm.launched':
      return [
        change(placed(envelope.data), { running: true }),
        change({ ...placed(envelope.data), desired: 'running' }, { state: 'launching', reason: '' }),
      ];
    case 'attestation.submitted':
      return [
        change(
          { ...placed(envelope.data), desired: 'running', state: BEFORE_GRANT },
          { state: 'attesting', reason: '' },
        ),
      ];
    case 'grant.issued': {
      const { ports } = envelope.data;
      const match = { ...placed(envelope.data), desired: 'running', state: BEFORE_GRANT } as const;
      return [change(match, { state: 'granted', reason: '', ports })];
    }
    case 'grant.denied': {
      const { failedCheck, reason } = envelope.data;
      const match = { ...placed(envelope.data), desired: 'running', state: BEFORE_GRANT } as const;
      return [change(match, { state: 'denied', reason: `${failedCheck}: ${reason}` })];
    }
    case 'vm.app-healthy': {
      const { ports } = envelope.data;
      const match = { ...placed(envelope.data), desired: 'running', state: ['granted', 'healthy'] } as const;
      return [change(match, { state: 'healthy', reason: '', ports })];
    }
    case 'vm.launch-failed': {
      const { code, reason } = envelope.data;
      const one = placed(envelope.data);
      return [
        change(one, { running: false }),
        change({ ...one, desired: 'running' }, { state: 'failed', reason: `${code}: ${reason}` }),
        change({ ...one, desired: 'stopped' }, { state: 'stopped', reason: `${code}: ${reason}` }),
      ];
    }
    case 'vm.exited':
      return exitedChanges(envelope.data, change);
    case 'vm.removed':
      return [
        change(placed(envelope.data), { running: false }),
        change({ ...placed(envelope.data), desired: 'removed' }, { state: 'removed', reason: '' }),
      ];
    default:
      return [];
  }
}

function exitedChanges(data: EventData<'vm.exited'>, change: Change): RowChange[] {
  const one = placed(data);
  const status = data.exitCode === null ? 'ended by a signal or lost' : `exit code ${data.exitCode}`;
  const reason = data.reason === '' ? status : `${data.reason} (${status})`;
  return [
    change(one, { running: false }),
    change({ ...one, desired: 'stopped', state: [...LIVE, 'stopping'] }, { state: 'stopped', reason }),
    data.requested
      ? change({ ...one, desired: 'running' }, { state: 'stopped', reason })
      : change({ ...one, desired: 'running', state: LIVE }, { state: 'failed', reason }),
  ];
}

function createdRow(data: EventData<'instance.created'>, time: string, seq: number): RowOf<'instance'> {
  return {
    instance_id: data.instanceId,
    app_id: data.appId,
    release_id: data.releaseId,
    compose_hash: data.composeHash,
    seed: data.seed,
    host_id: null,
    epoch: 0,
    address: null,
    state: 'created',
    running: false,
    desired: 'running',
    reason: '',
    ports: [],
    created_at: time,
    updated_at: time,
    seq,
  };
}

/** The instance, if this is the placement in force. */
export function placed({ instanceId, hostId, epoch }: Place): MatchOf<'instance'> {
  return { instance_id: instanceId, host_id: hostId, epoch };
}
