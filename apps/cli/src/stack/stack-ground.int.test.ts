import { spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openLayout } from './layout.js';
import { endLeftovers, leftoverPids } from './leftovers.js';
import { choosePort } from './ports.js';
import { keepPrivate, writePrivate } from './private-file.js';

const SOCKET_PATH_MAX = 107;
let folder = '';

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vouch-ground-'));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

describe('data folder', () => {
  it('is used as it is when every socket path fits', () => {
    const layout = openLayout(join(folder, 'd'));
    expect(layout.linkFolder).toBeNull();
    expect(layout.root).toBe(join(folder, 'd'));
  });

  it('is reached through a short private link when its path is long, and keeps all state', async () => {
    const long = join(folder, 'x'.repeat(60), 'data');
    const layout = openLayout(long);
    try {
      const socket = join(layout.hostsFolder, 'host-a', 'guests', 'f'.repeat(40), 'dstack.sock');
      expect(Buffer.byteLength(socket)).toBeLessThanOrEqual(SOCKET_PATH_MAX);
      writePrivate(layout.stateFile, 'here');
      expect(await readFile(join(long, 'state.json'), 'utf8')).toBe('here');
      expect((await stat(layout.linkFolder ?? '')).mode & 0o077).toBe(0);
      expect(openLayout(long).root).toBe(layout.root);
    } finally {
      await rm(layout.linkFolder ?? folder, { recursive: true, force: true });
    }
  });

  it.runIf(process.getuid?.() !== 0)('names a folder that cannot be written', async () => {
    await chmod(folder, 0o500);
    expect(() => openLayout(join(folder, 'd'))).toThrow(/VOUCH_DATA|cannot be written/);
  });

  it('says so when the file system takes no folders', () => {
    expect(() => openLayout('/proc/vouch/data')).toThrow(/cannot be written/);
  });

  it('says so when the path is a file', async () => {
    await writeFile(join(folder, 'file'), '');
    expect(() => openLayout(join(folder, 'file'))).toThrow(/cannot be written/);
  });
});

describe('private files', () => {
  it('are readable by their owner only, and made once', async () => {
    const path = join(folder, 'key');
    expect(keepPrivate(path, () => 'first')).toBe('first');
    expect(keepPrivate(path, () => 'second')).toBe('first');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });
});

describe('ports', () => {
  const wish = { variable: 'VOUCH_PORT_TEST', preferred: 0, what: 'a test' };
  let server: Server;
  let taken = 0;

  beforeEach(async () => {
    server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    taken = typeof address === 'object' && address !== null ? address.port : 0;
  });

  afterEach(() => new Promise<void>((resolve) => server.close(() => resolve())));

  it('a fixed port that is taken is refused, with the holder and the variable', async () => {
    await expect(choosePort(wish, String(taken), undefined)).rejects.toThrow(/VOUCH_PORT_TEST/);
  });

  it('a preferred port that is taken gives way to a free one', async () => {
    const port = await choosePort({ ...wish, preferred: taken }, undefined, taken);
    expect(port).not.toBe(taken);
    expect(port).toBeGreaterThan(0);
  });

  it.each(['0', '65536', 'http', '-1'])('refuses %s as a port', async (value) => {
    await expect(choosePort(wish, value, undefined)).rejects.toThrow(/not a port/);
  });
});

describe('leftovers of a killed stack', () => {
  it('are found by their data folder, ended, and nobody else is', async () => {
    await mkdir(join(folder, 'hosts'), { recursive: true });
    const idle = ['-e', 'setInterval(() => {}, 1000)'];
    const guest = spawn(process.execPath, [...idle, '--', join(folder, 'hosts', 'x')], {
      detached: true,
      stdio: 'ignore',
    });
    const app = spawn(process.execPath, idle, {
      detached: true,
      stdio: 'ignore',
      env: { DSTACK_AGENT_ADDRESS: `unix:${folder}/hosts/a/dstack.sock` },
    });
    const other = spawn(process.execPath, [...idle, '--', `${folder}-other/x`], { detached: true, stdio: 'ignore' });
    const service = spawn(process.execPath, idle, { detached: true, stdio: 'ignore', env: { VOUCH_STACK: folder } });
    const exits = [guest, app, service].map(
      (child) => new Promise<void>((resolve) => child.once('exit', () => resolve())),
    );
    try {
      expect([...leftoverPids([folder])].sort()).toEqual([guest.pid, app.pid, service.pid].sort());
      expect(await endLeftovers([folder])).toBe(3);
      await Promise.all(exits);
      expect(other.exitCode).toBeNull();
      expect(other.signalCode).toBeNull();
    } finally {
      other.kill('SIGKILL');
    }
  });
});
