import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:net';
import { AgentFailure } from './agent-failure.js';

/**
 * Makes sure one agent at a time works in a state folder. On Linux an abstract socket named after the folder: the kernel
 * releases it with the process, so that a killed agent never leaves a stale lock. Throws AgentFailure `already-running`.
 */
export async function lockState(stateFolder: string): Promise<{ release(): void }> {
  if (process.platform !== 'linux') return { release: () => undefined };
  const name = `\0vouch-guest-agent-${createHash('sha256').update(stateFolder).digest('hex')}`;
  const server: Server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const taken = cause.code === 'EADDRINUSE';
      reject(taken ? new AgentFailure('already-running', `another agent works in ${stateFolder}`) : cause);
    });
    server.listen(name, resolve);
  });
  server.unref();
  return { release: () => server.close() };
}
