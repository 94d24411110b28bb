import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isAlive, type ProcessIdentity, processIdentity } from '../process-identity.js';
import { LocalServerError } from './errors.js';
import type { LocalServer, Progress, ServerExit } from './local-server.js';

const POLL_MS = 15;
const START_DEADLINE_MS = 30_000;
const STOP_DEADLINE_MS = 20_000;
const LOG_TAIL_BYTES = 4096;
const SETPRIV = '/usr/bin/setpriv';

/** How to run one server program. */
export interface ServerProgram {
  /** For messages: "nats-server". */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Wraps the command line, for example in `unshare`; the program must replace the wrapper (exec), not be its child. */
  readonly wrapper?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly dataDir: string;
  readonly url: string;
  readonly port: number;
  /** Signal of an orderly stop. */
  readonly stopSignal: NodeJS.Signals;
  /** True once the server serves. A throw ends the start with that error. */
  readonly isReady: (pid: number) => Promise<boolean>;
  /** Runs before the stop signal, for example to save state. */
  readonly beforeStop?: () => Promise<void>;
  readonly onProgress?: Progress;
}

/**
 * Starts the program in its own session (a Ctrl-C in the terminal reaches the starter only, which then stops servers in
 * its own order), with its output in `<dataDir>/server.log`, and waits until it is ready. The kernel ends it when the
 * starter dies (util-linux setpriv); where that is missing, the next start stops what was left. Throws LocalServerError.
 */
export async function startServerProcess(program: ServerProgram): Promise<LocalServer> {
  const logPath = join(program.dataDir, 'server.log');
  await mkdir(program.dataDir, { recursive: true });
  await keepOneOldLog(logPath);
  const log = await open(logPath, 'a', 0o600);
  const [command, ...args] = [
    ...(program.wrapper ?? []),
    ...(existsSync(SETPRIV) && process.platform === 'linux'
      ? [SETPRIV, '--pdeathsig', program.stopSignal.slice(3), '--']
      : []),
    program.command,
    ...program.args,
  ];
  let child: ChildProcess;
  try {
    child = spawn(command as string, args, {
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
      cwd: program.dataDir,
      env: { PATH: process.env.PATH, HOME: program.dataDir, LANG: 'C.UTF-8', ...program.env },
    });
  } finally {
    await log.close();
  }
  const exited = exitOf(child, program);
  const pid = child.pid;
  if (pid === undefined) {
    await exited;
    throw new LocalServerError('start-failed', `${program.name}: ${program.command} could not be run`);
  }
  const server = new RunningServer(program, pid, exited);
  await recordRunning(program.dataDir, pid);
  await waitUntilReady(program, server, logPath);
  return server;
}

class RunningServer implements LocalServer {
  #isGone = false;
  constructor(
    private readonly program: ServerProgram,
    readonly pid: number,
    readonly exited: Promise<ServerExit>,
  ) {
    void exited.then(() => {
      this.#isGone = true;
    });
  }

  get url(): string {
    return this.program.url;
  }

  get port(): number {
    return this.program.port;
  }

  get isGone(): boolean {
    return this.#isGone;
  }

  async stop(): Promise<void> {
    if (this.#isGone) return;
    await this.program.beforeStop?.().catch(() => undefined);
    this.#signal(this.program.stopSignal);
    const isOver = await Promise.race([this.exited.then(() => true), delay(STOP_DEADLINE_MS, false, { ref: false })]);
    if (!isOver) await this.kill9();
    await rm(recordPath(this.program.dataDir), { force: true });
  }

  async kill9(): Promise<void> {
    if (!this.#isGone) this.#signal('SIGKILL');
    await this.exited;
  }

  #signal(signal: NodeJS.Signals): void {
    try {
      process.kill(this.pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}

async function waitUntilReady(program: ServerProgram, server: RunningServer, logPath: string): Promise<void> {
  const deadline = performance.now() + START_DEADLINE_MS;
  try {
    while (!(await program.isReady(server.pid))) {
      if (server.isGone)
        throw new LocalServerError('start-failed', `${program.name} ended at once: ${await tail(logPath)}`, true);
      if (performance.now() > deadline) {
        throw new LocalServerError(
          'start-failed',
          `${program.name} did not get ready in ${START_DEADLINE_MS / 1000} s: ${await tail(logPath)}`,
          true,
        );
      }
      await delay(POLL_MS);
    }
    // Someone else may have answered on the port while ours lost the race for it.
    await delay(0);
    if (server.isGone)
      throw new LocalServerError('start-failed', `${program.name} ended at once: ${await tail(logPath)}`, true);
  } catch (error) {
    await server.kill9();
    throw error;
  }
}

function exitOf(child: ChildProcess, program: ServerProgram): Promise<ServerExit> {
  return new Promise((resolve) => {
    child.once('error', (error) => {
      program.onProgress?.(`${program.name}: ${error.message}`);
      if (child.pid === undefined) resolve({ code: null, signal: null });
    });
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
}

async function tail(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch(() => '');
  const last = text.slice(-LOG_TAIL_BYTES).trim();
  return last === '' ? `nothing in ${path}` : `${last} (log: ${path})`;
}

async function keepOneOldLog(path: string): Promise<void> {
  await rename(path, `${path}.1`).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
}

interface RunningRecord {
  readonly server: ProcessIdentity;
  readonly starter: ProcessIdentity;
}

const recordPath = (dataDir: string): string => join(dataDir, 'running.json');

async function recordRunning(dataDir: string, pid: number): Promise<void> {
  const server = processIdentity(pid);
  const starter = processIdentity(process.pid);
  if (server === undefined || starter === undefined) return;
  const path = recordPath(dataDir);
  await writeFile(`${path}.new`, JSON.stringify({ server, starter } satisfies RunningRecord));
  await rename(`${path}.new`, path);
}

/**
 * Makes sure that no earlier server uses the folder: one whose starter is gone is stopped; one whose starter still
 * lives is an error (`already-running`). A server the starter itself started earlier and did not stop is an error too.
 */
export async function stopLeftover(dataDir: string, name: string, onProgress?: Progress): Promise<void> {
  const text = await readFile(recordPath(dataDir), 'utf8').catch(() => undefined);
  if (text === undefined) return;
  const record = parseRecord(text);
  if (record !== undefined && isAlive(record.server)) {
    if (isAlive(record.starter)) {
      throw new LocalServerError(
        'already-running',
        `${name} already runs on ${dataDir} (pid ${record.server.pid}), started by ${basename(process.argv0)} pid ${record.starter.pid}; stop that first`,
        true,
      );
    }
    onProgress?.(`stopping a ${name} that was left running (pid ${record.server.pid})`);
    await endProcess(record.server);
  }
  await rm(recordPath(dataDir), { force: true });
}

async function endProcess(identity: ProcessIdentity): Promise<void> {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGKILL'] as const) {
    const deadline = performance.now() + STOP_DEADLINE_MS / 4;
    try {
      process.kill(identity.pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ESRCH') return;
      throw error;
    }
    while (performance.now() < deadline) {
      if (!isAlive(identity)) return;
      await delay(POLL_MS);
    }
  }
}

function parseRecord(text: string): RunningRecord | undefined {
  try {
    const value = JSON.parse(text) as Partial<RunningRecord>;
    return Number.isInteger(value.server?.pid) && Number.isInteger(value.starter?.pid)
      ? (value as RunningRecord)
      : undefined;
  } catch {
    return undefined;
  }
}
