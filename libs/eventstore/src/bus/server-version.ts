import type { NatsConnection } from '@nats-io/transport-node';
import { ServerVersionError } from './bus-errors.js';

/** Oldest nats-server taken: `sync_interval` exists and a process kill keeps the stream (eventing §1). */
export const SERVER_VERSION_FLOOR = '2.10.27';

/** True when dotted version `found` is the same as or newer than `floor`. Pre-release tags count as the release. */
export function isVersionAtLeast(found: string, floor: string): boolean {
  const have = /^v?(\d+)\.(\d+)\.(\d+)/.exec(found)?.slice(1).map(Number);
  const want = /^v?(\d+)\.(\d+)\.(\d+)/.exec(floor)?.slice(1).map(Number);
  if (have === undefined || want === undefined) return false;
  for (const [index, part] of want.entries()) {
    const mine = have[index] ?? 0;
    if (mine !== part) return mine > part;
  }
  return true;
}

/** Throws ServerVersionError, which names the remedy, when the connected server is older than the floor or unknown. */
export function assertServerVersion(connection: NatsConnection): void {
  const version = connection.info?.version ?? 'unknown';
  if (!isVersionAtLeast(version, SERVER_VERSION_FLOOR)) throw new ServerVersionError(version, SERVER_VERSION_FLOOR);
}
