import { createHash } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { ConfigError } from '@vouch/platform';

/**
 * Makes sure that one worker at a time works on a data folder: two would start guests twice. An abstract unix socket, which
 * the kernel releases with the process, so that a killed worker leaves no stale lock. Throws ConfigError.
 */
export async function lockDataDir(dataDir: string): Promise<Server> {
  const name = `\0vouch-host-worker-${createHash('sha256').update(realpathSync(dataDir)).digest('hex')}`;
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const isTaken = error.code === 'EADDRINUSE';
      reject(
        isTaken ? new ConfigError([`HOST_DATA_DIR: another host worker works in ${dataDir}; stop it first`]) : error,
      );
    });
    server.listen(name, resolve);
  });
  return server;
}
