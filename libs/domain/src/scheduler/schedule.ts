import type { Resources } from '../event-catalog.js';

/** What the scheduler knows of one host. Memory in MiB; free = capacity minus what placed, unfinished guests were given. */
export interface HostRoom {
  readonly hostId: string;
  readonly cordoned: boolean;
  /** Its worker has reported within the heartbeat limit. */
  readonly live: boolean;
  readonly freeVcpu: number;
  readonly freeMemoryMiB: number;
}

export type ScheduleOutcome =
  | { readonly ok: true; readonly hostId: string; readonly reason: string }
  | { readonly ok: false; readonly reason: string };

/**
 * Chooses the host with most free memory, then most free vcpu, then the smallest id. `wanted` limits the choice to one
 * host. Without a fitting host the reason names what stands against each; it holds no clock readings, so that it only
 * changes when the situation does.
 */
export function schedule(
  hosts: readonly HostRoom[],
  demand: Pick<Resources, 'vcpu' | 'memoryMiB'>,
  wanted: string | null,
): ScheduleOutcome {
  const candidates = hosts
    .filter((host) => wanted === null || host.hostId === wanted)
    .toSorted((a, b) => (a.hostId < b.hostId ? -1 : 1));
  const fitting = candidates
    .filter((host) => obstacleOf(host, demand) === undefined)
    .toSorted((a, b) => b.freeMemoryMiB - a.freeMemoryMiB || b.freeVcpu - a.freeVcpu);
  const [best] = fitting;
  if (best !== undefined) {
    const room = `${best.freeMemoryMiB} MiB and ${best.freeVcpu} vcpu free`;
    const reason = wanted === null ? `most room of ${fitting.length}: ${room}` : `asked for; ${room}`;
    return { ok: true, hostId: best.hostId, reason };
  }
  const need = `${demand.memoryMiB} MiB and ${demand.vcpu} vcpu`;
  if (candidates.length === 0) return { ok: false, reason: `no host is registered; ${need} needed` };
  const obstacles = candidates.map((host) => `${host.hostId} ${obstacleOf(host, demand)}`).slice(0, 16);
  return { ok: false, reason: `no host for ${need}: ${obstacles.join('; ')}`.slice(0, 1000) };
}

function obstacleOf(host: HostRoom, demand: Pick<Resources, 'vcpu' | 'memoryMiB'>): string | undefined {
  if (host.cordoned) return 'is cordoned';
  if (!host.live) return 'sends no heartbeat';
  if (host.freeMemoryMiB < demand.memoryMiB || host.freeVcpu < demand.vcpu) {
    return `has ${host.freeMemoryMiB} MiB and ${host.freeVcpu} vcpu free`;
  }
  return undefined;
}
