import { mkdir, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { onPort } from './choose-port.js';
import { LocalServerError } from './errors.js';
import type { LocalServer, LocalServerOptions } from './local-server.js';
import { locateNatsServer } from './nats-binary.js';
import { defaultCacheDir, type ServerBinary } from './server-binary.js';
import { startServerProcess, stopLeftover } from './server-process.js';

export interface NatsOptions extends LocalServerOptions {
  /** Text of the server's configuration for the address and JetStream folder given to it (natsServerConfig of the event store). */
  readonly config: (at: { readonly listen: string; readonly storeDir: string }) => string;
  /** Which server program; located when absent. */
  readonly binary?: ServerBinary;
  readonly cacheDir?: string;
}

/**
 * Starts a real nats-server with JetStream on file storage under `<dataDir>/jetstream`. Ready means: it greeted a client
 * and says that JetStream is on. Throws LocalServerError.
 */
export async function startNats(options: NatsOptions): Promise<LocalServer> {
  const { dataDir, onProgress } = options;
  const binary = options.binary ?? (await locateNatsServer(options.cacheDir ?? defaultCacheDir(), onProgress));
  await mkdir(join(dataDir, 'jetstream'), { recursive: true });
  await stopLeftover(dataDir, 'nats-server', onProgress);
  return await onPort(options.port, 'nats-server', options.portSetting, async (port) => {
    const configPath = join(dataDir, 'nats-server.conf');
    const config = options.config({ listen: `127.0.0.1:${port}`, storeDir: join(dataDir, 'jetstream') });
    await writeFile(configPath, config, { mode: 0o600 });
    return await startServerProcess({
      name: 'nats-server',
      command: binary.path,
      args: ['-c', configPath],
      dataDir,
      url: `nats://127.0.0.1:${port}`,
      port,
      stopSignal: 'SIGTERM',
      isReady: async () => {
        const info = await greeting(port);
        if (info === undefined) return false;
        if (info.jetstream !== true) throw new LocalServerError('start-failed', 'nats-server runs without JetStream');
        return true;
      },
      ...(onProgress === undefined ? {} : { onProgress }),
    });
  });
}

/** The INFO line a nats-server sends to every new client, or undefined when nobody answers. */
function greeting(port: number): Promise<{ jetstream?: boolean } | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', timeout: 2000 });
    let text = '';
    const finish = (value: { jetstream?: boolean } | undefined): void => {
      socket.destroy();
      resolve(value);
    };
    socket.once('error', () => finish(undefined));
    socket.once('timeout', () => finish(undefined));
    socket.once('close', () => finish(undefined));
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      const line = /^INFO (\{.*\})\s*\r\n/.exec(text)?.[1];
      if (line !== undefined) finish(JSON.parse(line) as { jetstream?: boolean });
    });
  });
}
