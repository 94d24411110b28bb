import { join } from 'node:path';
import { unpackDebianPackage } from './debian-package.js';
import { LocalServerError } from './errors.js';
import type { Progress } from './local-server.js';
import { findOnPath, isAtLeast, isExecutable, type ServerBinary, versionOf } from './server-binary.js';

/**
 * Oldest nats-server taken: 2.10 knows `sync_interval`, 2.10.23 fixed the loss of a whole stream on kill -9; 2.10.27 is
 * Debian trixie's and the oldest one tested.
 */
export const NATS_VERSION_FLOOR = '2.10.27';

const REMEDY = `Install nats-server ${NATS_VERSION_FLOOR} or later (for example "docker compose -f docker-compose.dev.yml up nats", or a release of github.com/nats-io/nats-server) and set NATS_SERVER_BIN to it`;

/**
 * Finds nats-server: NATS_SERVER_BIN, else PATH, else the cache, else Debian trixie's package unpacked into the cache
 * (4-5 s, no root). One named by NATS_SERVER_BIN that is too old is refused (`version-too-old`); one on PATH that is too
 * old is passed over with a progress line.
 */
export async function locateNatsServer(cacheDir: string, onProgress?: Progress): Promise<ServerBinary> {
  const configured = process.env.NATS_SERVER_BIN;
  if (configured !== undefined && configured !== '') {
    if (!(await isExecutable(configured))) {
      throw new LocalServerError('binary-missing', `NATS_SERVER_BIN=${configured} is not an executable file`);
    }
    return refuseOld({ path: configured, version: await versionOf(configured) }, 'NATS_SERVER_BIN');
  }
  const onPath = await findOnPath('nats-server');
  if (onPath !== undefined) {
    const version = await versionOf(onPath);
    if (isAtLeast(version, NATS_VERSION_FLOOR)) return { path: onPath, version };
    onProgress?.(`${onPath} is ${version}, older than ${NATS_VERSION_FLOOR}: looking for another`);
  }
  const wish = { packages: ['nats-server'], suite: 'trixie', remedy: `${REMEDY}.` };
  const folder = await unpackDebianPackage(wish, cacheDir, onProgress);
  for (const path of [join(folder, 'usr/sbin/nats-server'), join(folder, 'usr/bin/nats-server')]) {
    if (await isExecutable(path)) return refuseOld({ path, version: await versionOf(path) }, 'Debian trixie');
  }
  throw new LocalServerError('download-failed', `the nats-server package holds no nats-server: ${folder}. ${REMEDY}.`);
}

function refuseOld(binary: ServerBinary, origin: string): ServerBinary {
  if (isAtLeast(binary.version, NATS_VERSION_FLOOR)) return binary;
  throw new LocalServerError(
    'version-too-old',
    `nats-server ${binary.version} (${origin}: ${binary.path}) is older than ${NATS_VERSION_FLOOR}: it cannot sync every write to disk. ${REMEDY}, or unset NATS_SERVER_BIN.`,
  );
}
