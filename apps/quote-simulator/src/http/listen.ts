import { chmod, lstat, rm } from 'node:fs/promises';
import type { Server } from 'node:http';
import { connect } from 'node:net';

/** Longest unix socket path in bytes (sockaddr_un, without its terminating zero). */
export const MAX_SOCKET_PATH_BYTES = 107;

/** Another living process listens where this one was told to. */
export class ListenerTakenError extends Error {
  readonly code = 'listener-taken';
  readonly retryable = false;
  constructor(where: string, options?: ErrorOptions) {
    super(`${where} is in use by another process; stop it or choose another`, options);
    this.name = 'ListenerTakenError';
  }
}

/** The path a socket should take holds something else, which must not be removed. */
export class NotASocketError extends Error {
  readonly code = 'not-a-socket';
  readonly retryable = false;
  constructor(path: string) {
    super(`${path} exists and is not a socket; remove it or choose another path`);
    this.name = 'NotASocketError';
  }
}

/**
 * Listens on a unix socket with mode 0600. A socket file left by a killed process is replaced; one that still answers is
 * not (ListenerTakenError), nor is any other kind of file (NotASocketError). Other errors are the system's.
 */
export async function listenOnSocket(server: Server, path: string): Promise<void> {
  if (await occupied(path)) {
    if (await answers(path)) throw new ListenerTakenError(path);
    await rm(path, { force: true });
  }
  const previous = process.umask(0o177);
  try {
    // bind() happens inside listen(), so the file is born with the narrow mode.
    await listening(server, () => server.listen(path));
  } finally {
    process.umask(previous);
  }
  await chmod(path, 0o600);
}

/** Listens on `host:port`; port 0 takes a free one. Returns the bound port. */
export async function listenOnTcp(server: Server, host: string, port: number): Promise<number> {
  try {
    await listening(server, () => server.listen(port, host));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') {
      throw new ListenerTakenError(`${host}:${port}`, { cause: error });
    }
    throw error;
  }
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('the server has no TCP address');
  return address.port;
}

/** Stops accepting, lets answers in flight end, drops idle connections. Node removes the socket file itself. */
export function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
    setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS).unref();
  });
}

const CLOSE_GRACE_MS = 2_000;

function listening(server: Server, listen: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.once('listening', () => {
      server.off('error', reject);
      resolve();
    });
    listen();
  });
}

/** True when a socket file lies at the path. Throws NotASocketError when anything else does. */
async function occupied(path: string): Promise<boolean> {
  try {
    if (!(await lstat(path)).isSocket()) throw new NotASocketError(path);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false;
    throw error;
  }
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
}
