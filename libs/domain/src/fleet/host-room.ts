import type { HostRoom } from '../scheduler/schedule.js';
import type { FleetView } from './fleet-view.js';

/** Latest heartbeat of each host: when its worker wrote it (KV `hosts`). */
export type Heartbeats = ReadonlyMap<string, Date>;

/** A host without a heartbeat for this long, in milliseconds, gets no new guests. */
export const HEARTBEAT_LIMIT_MS = 20_000;

export function isLive(heartbeats: Heartbeats, hostId: string, now: Date): boolean {
  const at = heartbeats.get(hostId);
  return at !== undefined && now.getTime() - at.getTime() <= HEARTBEAT_LIMIT_MS;
}

/** Room on every registered host. A placed guest holds its resources until it has exited and is not wanted running. */
export function hostRooms(view: FleetView, now: Date, heartbeats: Heartbeats): HostRoom[] {
  const used = new Map<string, { vcpu: number; memoryMiB: number }>();
  for (const { state, facts } of view.instances()) {
    if (state.status === 'absent' || state.placement === null) continue;
    if (state.desired !== 'running' && facts.exited) continue;
    const release = view.release(state.releaseId);
    if (release.status === 'absent') continue;
    const sum = used.get(state.placement.hostId) ?? { vcpu: 0, memoryMiB: 0 };
    sum.vcpu += release.resources.vcpu;
    sum.memoryMiB += release.resources.memoryMiB;
    used.set(state.placement.hostId, sum);
  }
  const rooms: HostRoom[] = [];
  for (const host of view.hosts()) {
    if (host.status === 'absent') continue;
    const { hostId, cordoned, capacity } = host;
    rooms.push({
      hostId,
      cordoned,
      live: isLive(heartbeats, hostId, now),
      freeVcpu: capacity.vcpu - (used.get(hostId)?.vcpu ?? 0),
      freeMemoryMiB: capacity.memoryMiB - (used.get(hostId)?.memoryMiB ?? 0),
    });
  }
  return rooms;
}
