import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { unpackDebianPackage } from './debian-package.js';
import { LocalServerError } from './errors.js';
import type { Progress } from './local-server.js';
import { findOnPath, isExecutable, type ServerBinary, versionOf } from './server-binary.js';

const REMEDY =
  'Install redis-server or valkey-server (for example "apt-get install redis-server") and set REDIS_SERVER_BIN to it, or set REDIS_URL to a running one.';

/** redis-server with the shared libraries a bare machine may lack (its other dependencies are part of every Debian). */
const PACKAGES = ['redis-server', 'redis-tools', 'libjemalloc2', 'liblzf1', 'libatomic1'];

export interface RedisBinary extends ServerBinary {
  /** Folder of shared libraries unpacked next to the program; undefined for an installed one. */
  readonly libraryPath: string | undefined;
}

/**
 * Finds a Redis-compatible server: REDIS_SERVER_BIN, else redis-server or valkey-server on PATH, else the cache, else
 * the redis-server of the machine's own Debian suite unpacked into the cache. Throws LocalServerError.
 */
export async function locateRedisServer(cacheDir: string, onProgress?: Progress): Promise<RedisBinary> {
  const configured = process.env.REDIS_SERVER_BIN;
  if (configured !== undefined && configured !== '') {
    if (!(await isExecutable(configured))) {
      throw new LocalServerError('binary-missing', `REDIS_SERVER_BIN=${configured} is not an executable file`);
    }
    return { path: configured, version: await versionOf(configured), libraryPath: undefined };
  }
  for (const name of ['redis-server', 'valkey-server']) {
    const path = await findOnPath(name);
    if (path !== undefined) return { path, version: await versionOf(path), libraryPath: undefined };
  }
  const folder = await unpackDebianPackage(
    { packages: PACKAGES, suite: undefined, remedy: REMEDY },
    cacheDir,
    onProgress,
  );
  const path = join(folder, 'usr/bin/redis-server');
  const libraryPath = await libraryFolders(folder);
  return { path, version: await versionOf(path, { LD_LIBRARY_PATH: libraryPath }), libraryPath };
}

async function libraryFolders(folder: string): Promise<string> {
  const base = join(folder, 'usr/lib');
  const names = await readdir(base).catch(() => []);
  return names
    .filter((name) => name.includes('-linux-'))
    .map((name) => join(base, name))
    .join(':');
}
