import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isAlive, processIdentity } from '../process-identity.js';
import {
  defaultCacheDir,
  freePort,
  type LocalServer,
  LocalServerError,
  locateNatsServer,
  startAnvil,
  startNats,
  startPostgres,
  startRedis,
} from './index.js';

let root: string;
const started: LocalServer[] = [];

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'vouch-servers-'));
});

afterAll(async () => {
  await Promise.all(started.map((server) => server.stop()));
  await rm(root, { recursive: true, force: true });
});

async function kept<T extends LocalServer>(starting: Promise<T>): Promise<T> {
  const server = await starting;
  started.push(server);
  return server;
}

const natsConfig = ({ listen, storeDir }: { listen: string; storeDir: string }): string =>
  `listen: "${listen}"\njetstream { store_dir: "${storeDir}", sync_interval: always }\n`;

async function rpc(url: string, method: string, params: unknown[]): Promise<unknown> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
  });
  return ((await response.json()) as { result: unknown }).result;
}

describe('nats-server', () => {
  test('starts with JetStream, restarts on its port after kill -9, and stops for good', async () => {
    const dataDir = join(root, 'nats');
    const first = await kept(startNats({ dataDir, config: natsConfig }));
    await first.kill9();
    const second = await kept(startNats({ dataDir, port: first.port, config: natsConfig }));
    expect(second.url).toBe(first.url);
    const identity = processIdentity(second.pid);
    await second.stop();
    expect(identity !== undefined && isAlive(identity)).toBe(false);
    expect((await stat(join(dataDir, 'nats-server.conf'))).mode & 0o777).toBe(0o600);
  });

  test('a server still running on the folder is named, not doubled', async () => {
    const dataDir = join(root, 'nats-twice');
    const first = await kept(startNats({ dataDir, config: natsConfig }));
    await expect(startNats({ dataDir, config: natsConfig })).rejects.toMatchObject({ code: 'already-running' });
    await first.stop();
  });

  test('a server left by a dead starter is stopped first', async () => {
    const dataDir = join(root, 'nats-left');
    await mkdir(dataDir, { recursive: true });
    const left = spawn('sleep', ['600'], { stdio: 'ignore', detached: true });
    const server = processIdentity(left.pid ?? 0);
    const starter = { pid: 2 ** 22, started: 'gone' };
    await writeFile(join(dataDir, 'running.json'), JSON.stringify({ server, starter }));
    await kept(startNats({ dataDir, config: natsConfig }));
    expect(server !== undefined && isAlive(server)).toBe(false);
  });

  test('a taken port is an error that names the holder and the setting', async () => {
    const port = await freePort();
    const holder = createServer();
    await new Promise<void>((resolve) => holder.listen(port, '127.0.0.1', resolve));
    const start = startNats({ dataDir: join(root, 'nats-port'), port, portSetting: 'NATS_PORT', config: natsConfig });
    await expect(start).rejects.toMatchObject({ code: 'port-taken' });
    await expect(start).rejects.toThrow(new RegExp(`port ${port} .*\\(pid ${process.pid}\\).*NATS_PORT`));
    holder.close();
  });

  test('a broken configuration says what the server said', async () => {
    const start = startNats({ dataDir: join(root, 'nats-bad'), config: () => 'no_such_setting: 1\n' });
    await expect(start).rejects.toThrow(/no_such_setting/);
  });

  test('an old server is refused with the remedy', async () => {
    const old = join(root, 'old-nats');
    await writeFile(old, '#!/bin/sh\necho "nats-server: v2.9.10"\n', { mode: 0o755 });
    const before = process.env.NATS_SERVER_BIN;
    process.env.NATS_SERVER_BIN = old;
    try {
      const locate = locateNatsServer(defaultCacheDir());
      await expect(locate).rejects.toBeInstanceOf(LocalServerError);
      await expect(locate).rejects.toThrow(/2\.9\.10 .*older than 2\.10\.27.*NATS_SERVER_BIN/);
    } finally {
      if (before === undefined) delete process.env.NATS_SERVER_BIN;
      else process.env.NATS_SERVER_BIN = before;
    }
  });
});

describe('postgres', () => {
  test('starts, survives kill -9 on the same port, keeps its password file private', async () => {
    const dataDir = join(root, 'postgres');
    const first = await kept(startPostgres({ dataDir, fsync: false }));
    expect((await stat(join(dataDir, 'password'))).mode & 0o777).toBe(0o600);
    await first.kill9();
    const second = await kept(startPostgres({ dataDir, port: first.port, fsync: false }));
    expect(second.url).toBe(first.url);
    const commandLine = await readFile(`/proc/${second.pid}/cmdline`, 'utf8');
    expect(commandLine).not.toContain(new URL(second.url).password);
    await second.stop();
  });

  test.runIf(process.getuid?.() === 0)(
    'as root where user namespaces are not allowed, below a folder only root may enter',
    async () => {
      const tools = join(root, 'no-namespaces');
      await mkdir(tools);
      await writeFile(join(tools, 'unshare'), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
      const before = process.env.PATH;
      process.env.PATH = `${tools}:${before}`;
      try {
        const server = await kept(startPostgres({ dataDir: join(root, 'postgres-nobody'), fsync: false }));
        expect(await readFile(`/proc/${server.pid}/status`, 'utf8')).toMatch(/^Uid:\s+65534\s/m);
        await server.stop();
      } finally {
        process.env.PATH = before;
      }
    },
  );

  test('a half-done initdb is redone', async () => {
    const dataDir = join(root, 'postgres-half');
    await mkdir(join(dataDir, 'data.draft/base'), { recursive: true });
    await writeFile(join(dataDir, 'data.draft/PG_VERSION'), '18\n');
    const server = await kept(startPostgres({ dataDir, fsync: false }));
    expect(server.port).toBeGreaterThan(0);
    await server.stop();
  });

  test('data without its password file is refused, not re-made', async () => {
    const dataDir = join(root, 'postgres');
    await rm(join(dataDir, 'password'));
    await expect(startPostgres({ dataDir, fsync: false })).rejects.toMatchObject({ code: 'data-damaged' });
  });
});

describe('anvil', () => {
  test('keeps code and blocks over a stop and over a kill -9', async () => {
    const dataDir = join(root, 'anvil');
    const address = '0x00000000000000000000000000000000000000aa';
    const first = await kept(startAnvil({ dataDir }));
    const [sender] = (await rpc(first.url, 'eth_accounts', [])) as string[];
    await rpc(first.url, 'anvil_setCode', [address, '0x6001']);
    await rpc(first.url, 'eth_sendTransaction', [{ from: sender, to: address, value: '0x1' }]);
    await first.stop();

    const second = await kept(startAnvil({ dataDir, port: first.port }));
    expect(await rpc(second.url, 'eth_getCode', [address, 'latest'])).toBe('0x6001');
    expect(await rpc(second.url, 'eth_blockNumber', [])).toBe('0x1');
    const savedAt = async (): Promise<number> => (await stat(join(dataDir, 'state.hex'))).mtimeMs;
    const before = await savedAt();
    await rpc(second.url, 'eth_sendTransaction', [{ from: sender, to: address, value: '0x2' }]);
    await expect.poll(savedAt, { timeout: 20_000 }).toBeGreaterThan(before);
    await second.kill9();

    const third = await kept(startAnvil({ dataDir, port: first.port }));
    expect(await rpc(third.url, 'eth_getCode', [address, 'latest'])).toBe('0x6001');
    expect(await rpc(third.url, 'eth_blockNumber', [])).toBe('0x2');
    await third.stop();
  });
});

describe('redis', () => {
  test('starts and wants its password', async () => {
    const server = await kept(startRedis({ dataDir: join(root, 'redis') }));
    expect(server.url).toMatch(/^redis:\/\/:[A-Za-z0-9_-]{43}@127\.0\.0\.1:\d+$/);
    await server.stop();
  });
});
