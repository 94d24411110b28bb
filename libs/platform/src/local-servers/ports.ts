import { readdir, readFile, readlink } from 'node:fs/promises';
import { createServer } from 'node:net';
import { LocalServerError } from './errors.js';

/** A TCP port of 127.0.0.1 that was free a moment ago. Another process may take it before the caller does. */
export function freePort(): Promise<number> {
  return listenOnce(0);
}

/**
 * Throws LocalServerError `port-taken` when 127.0.0.1:`port` cannot be listened on; the message names the process that
 * holds it, as far as this user may see it, and the setting to change.
 */
export async function assertPortFree(port: number, what: string, setting: string): Promise<void> {
  try {
    await listenOnce(port);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === 'EACCES') {
      throw new LocalServerError(
        'port-taken',
        `${what}: this user may not listen on port ${port}; set ${setting}`,
        false,
        { cause },
      );
    }
    const holder = await portHolder(port);
    throw new LocalServerError(
      'port-taken',
      `${what}: port ${port} on 127.0.0.1 is taken by ${holder ?? 'another process'}; stop it or set ${setting} to another port (0: any free one)`,
      true,
      { cause },
    );
  }
}

function listenOnce(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      const address = probe.address();
      probe.close(() =>
        address !== null && typeof address === 'object' ? resolve(address.port) : reject(new TypeError('no port')),
      );
    });
  });
}

/** `name (pid N)` of the process listening on the port, from /proc; undefined where it cannot be seen. */
export async function portHolder(port: number): Promise<string | undefined> {
  const inodes = new Set<string>();
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    const text = await readFile(table, 'utf8').catch(() => '');
    for (const line of text.split('\n').slice(1)) {
      const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
      const isListening = state === '0A';
      if (isListening && inode !== undefined && local?.endsWith(`:${port.toString(16).toUpperCase().padStart(4, '0')}`))
        inodes.add(inode);
    }
  }
  if (inodes.size === 0) return undefined;
  for (const pid of (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name))) {
    for (const fd of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
      const target = await readlink(`/proc/${pid}/fd/${fd}`).catch(() => '');
      const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
      if (inode !== undefined && inodes.has(inode)) {
        const name = (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => 'unknown')).trim();
        return `${name} (pid ${pid})`;
      }
    }
  }
  return undefined;
}
