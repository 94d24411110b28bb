import type { EventData } from '@vouch/domain';
import type { EventFact } from '../routing/routing-table.js';

/** Facts about one instance, as the services write them. */
export interface StoryInstance {
  readonly appId: string;
  readonly instanceId: string;
  readonly address: string;
  readonly ports?: readonly number[];
  readonly hostId?: string;
}

const REQUEST_ID = '7f3c1b1e-0c1d-4c8e-9a55-3d1f2e4b5a60';
const hex32 = 'cc'.repeat(32);

/** The events that lead one instance to its route, one function each; `epoch` is 1 unless said. */
export function storyOf(instance: StoryInstance) {
  const { appId, instanceId, address } = instance;
  const hostId = instance.hostId ?? 'host-1';
  const ports = [...(instance.ports ?? [80])];
  const place = (epoch: number, host = hostId) => ({ hostId: host, instanceId, epoch });
  return {
    registered: (): EventFact<'app.registered'> => ({
      type: 'app.registered',
      data: { appId, name: 'hello', owner: 'operator' },
    }),
    created: (): EventFact<'instance.created'> => ({
      type: 'instance.created',
      data: { instanceId, appId, releaseId: '0f'.repeat(16), composeHash: hex32, seed: 'dd'.repeat(20) },
    }),
    placed: (epoch = 1, host = hostId): EventFact<'instance.placed'> => ({
      type: 'instance.placed',
      data: { ...place(epoch, host), address, reason: 'most room' },
    }),
    launched: (epoch = 1): EventFact<'vm.launched'> => ({
      type: 'vm.launched',
      data: { ...place(epoch), driver: 'process', address, unsafe: [] },
    }),
    granted: (epoch = 1, change: Partial<EventData<'grant.issued'>> = {}): EventFact<'grant.issued'> => ({
      type: 'grant.issued',
      data: {
        ...place(epoch),
        requestId: REQUEST_ID,
        requestSeq: 1,
        appId,
        composeHash: hex32,
        checks: [{ name: 'quote', outcome: 'pass', detail: '' }],
        collateralDigest: null,
        policy: null,
        unsafe: [],
        keyEpoch: 0,
        osImageHash: hex32,
        mrAggregated: hex32,
        deviceId: hex32,
        tcbStatus: 'UpToDate',
        advisoryIds: [],
        keys: { hpke: hex32, wireguard: hex32, tls: 'ee'.repeat(91) },
        address,
        ports,
        payloadHash: hex32,
        gatewayAppId: '',
        ...change,
      },
    }),
    healthy: (epoch = 1, host = hostId): EventFact<'vm.app-healthy'> => ({
      type: 'vm.app-healthy',
      data: { ...place(epoch, host), ports },
    }),
    exited: (epoch = 1): EventFact<'vm.exited'> => ({
      type: 'vm.exited',
      data: { ...place(epoch), exitCode: 1, reason: 'ended', requested: false },
    }),
    launchFailed: (epoch = 1): EventFact<'vm.launch-failed'> => ({
      type: 'vm.launch-failed',
      data: { ...place(epoch), code: 'no-room', reason: 'no room' },
    }),
    removed: (epoch = 1): EventFact<'vm.removed'> => ({ type: 'vm.removed', data: place(epoch) }),
    stopRequested: (): EventFact<'instance.stop-requested'> => ({
      type: 'instance.stop-requested',
      data: { instanceId },
    }),
    removeRequested: (): EventFact<'instance.remove-requested'> => ({
      type: 'instance.remove-requested',
      data: { instanceId },
    }),
  };
}

/** Everything up to the route of an instance at its first epoch. */
export function deployed(instance: StoryInstance): EventFact[] {
  const story = storyOf(instance);
  return [story.created(), story.placed(), story.launched(), story.granted(), story.healthy()];
}
