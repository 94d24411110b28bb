import {
  evolveInstance,
  evolveRelease,
  type InstanceEvent,
  type InstanceState,
  initialInstance,
  initialRelease,
  type ReleaseEvent,
  type ReleaseState,
} from '@vouch/domain';
import type { EventStore } from '@vouch/eventstore';

/** One instance and its release, folded from the log at the leader. */
export interface PlacementView {
  readonly instance: InstanceState;
  readonly release: ReleaseState;
}

/** Reads {@link PlacementView}. Throws EventStoreUnavailableError. */
export async function readPlacement(store: EventStore, instanceId: string): Promise<PlacementView> {
  const history = await store.readSubject(`evt.instance.${instanceId}`);
  const instance = history.reduce<InstanceState>(
    (state, event) => evolveInstance(state, event.envelope as unknown as InstanceEvent),
    initialInstance,
  );
  if (instance.status === 'absent') return { instance, release: initialRelease };
  const releases = await store.readSubject(`evt.release.${instance.releaseId}`);
  const release = releases.reduce<ReleaseState>(
    (state, event) => evolveRelease(state, event.envelope as unknown as ReleaseEvent),
    initialRelease,
  );
  return { instance, release };
}
