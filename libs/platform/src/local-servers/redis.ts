import { mkdir, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { onPort } from './choose-port.js';
import type { LocalServer, LocalServerOptions } from './local-server.js';
import { locateRedisServer, type RedisBinary } from './redis-binary.js';
import { secretFile } from './secret-file.js';
import { defaultCacheDir } from './server-binary.js';
import { startServerProcess, stopLeftover } from './server-process.js';

export interface RedisOptions extends LocalServerOptions {
  /** Which server program; located when absent. */
  readonly binary?: RedisBinary;
  readonly cacheDir?: string;
}

/** Starts a real Redis (or Valkey) with append-only persistence, a password of its own, and eviction off (BullMQ needs that). */
export async function startRedis(options: RedisOptions): Promise<LocalServer> {
  const { dataDir, onProgress } = options;
  const binary = options.binary ?? (await locateRedisServer(options.cacheDir ?? defaultCacheDir(), onProgress));
  await mkdir(join(dataDir, 'store'), { recursive: true });
  await stopLeftover(dataDir, 'redis-server', onProgress);
  const password = await secretFile(join(dataDir, 'password'));
  return await onPort(options.port, 'redis-server', options.portSetting, async (port) => {
    const configPath = join(dataDir, 'redis.conf');
    await writeFile(configPath, redisConfig(port, join(dataDir, 'store'), password), { mode: 0o600 });
    return await startServerProcess({
      name: 'redis-server',
      command: binary.path,
      args: [configPath],
      env: binary.libraryPath === undefined ? {} : { LD_LIBRARY_PATH: binary.libraryPath },
      dataDir,
      url: `redis://:${password}@127.0.0.1:${port}`,
      port,
      stopSignal: 'SIGTERM',
      isReady: () => isServing(port, password),
      ...(onProgress === undefined ? {} : { onProgress }),
    });
  });
}

function redisConfig(port: number, storeDir: string, password: string): string {
  return [
    'bind 127.0.0.1',
    `port ${port}`,
    'protected-mode yes',
    `requirepass ${password}`,
    `dir "${storeDir}"`,
    'appendonly yes',
    'save ""',
    'maxmemory-policy noeviction',
    'daemonize no',
    '',
  ].join('\n');
}

/** True when PING after AUTH is answered with PONG (not with "loading"). */
function isServing(port: number, password: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', timeout: 2000 });
    let text = '';
    const finish = (value: boolean): void => {
      socket.destroy();
      resolve(value);
    };
    socket.once('error', () => finish(false));
    socket.once('timeout', () => finish(false));
    socket.once('close', () => finish(false));
    socket.once('connect', () => socket.write(`AUTH ${password}\r\nPING\r\n`));
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      if (text.split('\r\n').length > 2) finish(text.includes('+PONG'));
    });
  });
}
