import { z } from 'zod';
import { resourcesSchema } from '../event-catalog.js';
import { HEX16, HEX20, HEX32 } from '../ids.js';
import type { DesiredState } from '../instance/instance-decider.js';
import type { FleetView } from './fleet-view.js';

/**
 * What one host should run for one instance: the value of the KV bucket `desired` under `<hostId>.<instanceId>`. A cache
 * of the log: it can be dropped and is written again from the fleet view.
 */
export const desiredGuestSchema = z.strictObject({
  instanceId: z.string().regex(HEX20),
  appId: z.string().regex(HEX20),
  releaseId: z.string().regex(HEX16),
  epoch: z.number().int().positive(),
  desired: z.enum(['running', 'stopped', 'removed'] satisfies DesiredState[]),
  /** The exact app-compose text. */
  appCompose: z.string(),
  composeHash: z.string().regex(HEX32),
  seed: z.string().regex(HEX20),
  address: z.ipv4(),
  ports: z.array(z.number().int()),
  resources: resourcesSchema,
  /** Hex; empty when there is none. */
  encryptedEnv: z.string(),
});

export type DesiredGuest = z.infer<typeof desiredGuestSchema>;

export interface DesiredEntry {
  /** `<hostId>.<instanceId>` */
  readonly key: string;
  readonly hostId: string;
  readonly guest: DesiredGuest;
}

/** The desired entry of an instance; undefined before its placement, and for ever after its host removed it. */
export function desiredEntryOf(view: FleetView, instanceId: string): DesiredEntry | undefined {
  const { state, facts } = view.instance(instanceId);
  if (state.status === 'absent' || state.placement === null) return undefined;
  if (state.desired === 'removed' && facts.removed) return undefined;
  const release = view.release(state.releaseId);
  if (release.status === 'absent') return undefined;
  const { hostId, epoch, address } = state.placement;
  const { appId, releaseId, composeHash, seed, desired } = state;
  const { appCompose, resources, encryptedEnv } = release;
  const ports = [...release.ports];
  return {
    key: `${hostId}.${instanceId}`,
    hostId,
    guest: {
      instanceId,
      appId,
      releaseId,
      epoch,
      desired,
      appCompose,
      composeHash,
      seed,
      address,
      ports,
      resources,
      encryptedEnv,
    },
  };
}

/** True once nothing can use the instance's address any more: it is gone from its host, or never had one. */
export function addressFree(view: FleetView, instanceId: string): boolean {
  const { state, facts } = view.instance(instanceId);
  return state.status === 'created' && state.desired === 'removed' && (state.placement === null || facts.removed);
}
