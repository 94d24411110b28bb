import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { DriverError } from '../driver-error.js';

/** Longest unix socket path on Linux, in bytes, without its terminating zero. */
const MAX_SOCKET_PATH_BYTES = 107;

/** Names inside `<HOST_DATA_DIR>/guests/<instanceId>/`. */
export interface GuestFolder {
  readonly root: string;
  /** The folder without links: what marks the guest's processes, however the data folder is reached next time. */
  readonly marker: string;
  /** What the guest reads once at boot: dstack's host-shared folder. */
  readonly shared: string;
  /** The guest's own folder: its "disk". */
  readonly guest: string;
  readonly hostSocket: string;
  readonly tsmSocket: string;
  readonly dstackSocket: string;
  readonly agentLog: string;
  readonly appLog: string;
  /** Which process runs the guest. */
  readonly processFile: string;
  /** Where the launch's supervisor shell leaves the exit code. */
  exitFile(launchId: string): string;
}

export function guestFolder(dataDir: string, instanceId: string): GuestFolder {
  const root = join(dataDir, 'guests', instanceId);
  return {
    root,
    marker: join(realpathSync(dataDir), 'guests', instanceId),
    shared: join(root, 'shared'),
    guest: join(root, 'guest'),
    hostSocket: join(root, 'host.sock'),
    tsmSocket: join(root, 'tsm.sock'),
    dstackSocket: join(root, 'dstack.sock'),
    agentLog: join(root, 'agent.log'),
    appLog: join(root, 'app.log'),
    processFile: join(root, 'process.json'),
    exitFile: (launchId) => join(root, `exit-${launchId}`),
  };
}

/** Throws DriverError `socket-path-too-long` when the guest's sockets would not fit into a socket address. */
export function assertSocketsFit(folder: GuestFolder): void {
  const longest = Math.max(
    ...[folder.hostSocket, folder.tsmSocket, folder.dstackSocket].map((path) => Buffer.byteLength(path)),
  );
  if (longest <= MAX_SOCKET_PATH_BYTES) return;
  const excess = longest - MAX_SOCKET_PATH_BYTES;
  throw new DriverError(
    'socket-path-too-long',
    `sockets of the guest would have ${longest} bytes in their path, ${MAX_SOCKET_PATH_BYTES} fit: choose a HOST_DATA_DIR that is ${excess} bytes shorter`,
    false,
  );
}
