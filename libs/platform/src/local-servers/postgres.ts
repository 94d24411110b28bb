import { execFile } from 'node:child_process';
import { chmod, chown, copyFile, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { onPort } from './choose-port.js';
import { LocalServerError } from './errors.js';
import type { LocalServer, LocalServerOptions } from './local-server.js';
import { locatePostgres } from './postgres-binary.js';
import { secretFile } from './secret-file.js';
import { startServerProcess, stopLeftover } from './server-process.js';
import { type Unprivileged, unprivileged } from './unprivileged.js';

const run = promisify(execFile);
const SUPERUSER = 'postgres';
/** Line of postmaster.pid that holds the state (pg_ctl reads it too). */
const STATUS_LINE = 7;
const SHARED_MEMORY_RETRIES = 40;
const SHARED_MEMORY_WAIT_MS = 250;

export interface PostgresOptions extends LocalServerOptions {
  /** Default true. False loses data in a power cut and is for tests only. */
  readonly fsync?: boolean;
}

/**
 * Starts the embedded Postgres on 127.0.0.1, without a unix socket, with a generated superuser password (scram, file
 * 0600). The data folder is made on first use: initdb works in a draft folder that is renamed when complete, so a
 * half-done one is redone. The URL is the superuser's on database "postgres". Throws LocalServerError.
 */
export async function startPostgres(options: PostgresOptions): Promise<LocalServer> {
  const { dataDir, onProgress } = options;
  const native = await locatePostgres();
  const way = await unprivileged();
  await mkdir(dataDir, { recursive: true });
  await stopLeftover(dataDir, 'postgres', onProgress);
  const store = join(dataDir, 'data');
  const passwordPath = join(dataDir, 'password');
  const isNew = (await readdir(store).catch(() => [])).length === 0;
  if (!isNew && (await readFile(passwordPath).catch(() => undefined)) === undefined) {
    throw new LocalServerError(
      'data-damaged',
      `${store} exists but its password file ${passwordPath} is gone; restore it, or remove the folder (it is rebuilt from the log)`,
    );
  }
  const password = await secretFile(passwordPath);
  if (isNew) {
    onProgress?.('creating the Postgres data folder');
    await initialise(native, way, dataDir, passwordPath, options.fsync ?? true);
  }
  return await onPort(options.port, 'postgres', options.portSetting, (port) =>
    startOnStore(native, way, store, port, password, options),
  );
}

async function startOnStore(
  native: string,
  way: Unprivileged,
  store: string,
  port: number,
  password: string,
  options: PostgresOptions,
): Promise<LocalServer> {
  const settings = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    fsync: (options.fsync ?? true) ? 'on' : 'off',
    logging_collector: 'off',
    max_connections: '200',
  };
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await startServerProcess({
        name: 'postgres',
        command: join(native, 'bin/postgres'),
        args: [
          '-D',
          store,
          '-p',
          String(port),
          ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
        ],
        wrapper: way.wrapper,
        dataDir: options.dataDir,
        url: `postgresql://${SUPERUSER}:${password}@127.0.0.1:${port}/postgres`,
        port,
        stopSignal: 'SIGINT',
        isReady: (pid) => isServing(store, pid),
        ...(options.onProgress === undefined ? {} : { onProgress: options.onProgress }),
      });
    } catch (error) {
      // After a kill -9 of the postmaster its children need a moment to notice and to let go of the shared memory.
      const isHeld =
        error instanceof LocalServerError && /shared memory block|lock file "postmaster.pid"/.test(error.message);
      if (!isHeld || attempt === SHARED_MEMORY_RETRIES) throw error;
      await delay(SHARED_MEMORY_WAIT_MS);
    }
  }
}

async function initialise(
  native: string,
  way: Unprivileged,
  dataDir: string,
  passwordPath: string,
  fsync: boolean,
): Promise<void> {
  const draft = join(dataDir, 'data.draft');
  const passwordCopy = join(dataDir, 'password.initdb');
  await rm(draft, { recursive: true, force: true });
  await mkdir(draft, { mode: 0o700 });
  await copyFile(passwordPath, passwordCopy);
  await chmod(passwordCopy, 0o600);
  if (way.owner !== undefined) {
    await chown(draft, way.owner, way.owner);
    await chown(passwordCopy, way.owner, way.owner);
  }
  const args = [
    '-D',
    draft,
    '-U',
    SUPERUSER,
    '-E',
    'UTF8',
    '--locale=C',
    '--auth=scram-sha-256',
    `--pwfile=${passwordCopy}`,
  ];
  const [command = '', ...rest] = [
    ...way.wrapper,
    join(native, 'bin/initdb'),
    ...args,
    ...(fsync ? [] : ['--no-sync']),
  ];
  try {
    await run(command, rest, {
      cwd: dataDir,
      timeout: 120_000,
      env: { PATH: process.env.PATH, LC_ALL: 'C' },
    });
  } catch (cause) {
    const detail = (cause as { stderr?: string }).stderr?.trim() ?? (cause as Error).message;
    const hint = way.needsOpenFolders
      ? ' Root may not use user namespaces or capabilities here, so Postgres ran as nobody: put the data folder where nobody may reach it (for example under /var/tmp), start as a normal user, or set DATABASE_URL.'
      : '';
    throw new LocalServerError('start-failed', `initdb failed: ${detail}.${hint}`, false, { cause });
  } finally {
    await rm(passwordCopy, { force: true });
  }
  await rm(join(dataDir, 'data'), { recursive: true, force: true });
  await rename(draft, join(dataDir, 'data'));
}

/** True when postmaster.pid of exactly this process says "ready". */
async function isServing(store: string, pid: number): Promise<boolean> {
  const lines = (await readFile(join(store, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
  return lines[0]?.trim() === String(pid) && lines[STATUS_LINE]?.trim() === 'ready';
}
