import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, renameSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ProcessIdentity, processIdentity } from '@vouch/platform/local-servers';
import { CliFailure, exitCodes } from '../failure.js';

export interface ServiceSpec {
  readonly name: string;
  /** Program arguments for this Node: script first. Never holds a secret. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly logFile: string;
  /** URL that answers 200 once the service does its work. */
  readonly readyUrl: string;
}

export interface ServiceState {
  readonly name: string;
  readonly process: ProcessIdentity | null;
  readonly restarts: number;
}

const LOG_ROTATE_BYTES = 20 * 1024 * 1024;
const RESTART_FIRST_MS = 200;
const RESTART_MAX_MS = 5_000;
const STABLE_AFTER_MS = 30_000;
/** Longer than a worker gives its guests (15 s). */
const STOP_PATIENCE_MS = 25_000;
/** sysexits(3) EX_CONFIG: the service said its configuration is wrong; starting it again would not help. */
const EXIT_CONFIG = 78;

/** Keeps the services of the stack running: a service that ends is started again, with a growing pause. */
export class Supervisor {
  readonly #running = new Map<
    string,
    { spec: ServiceSpec; child: ChildProcess | null; restarts: number; failed: string | null }
  >();
  #stopping = false;

  constructor(private readonly onChange: (states: readonly ServiceState[]) => void) {}

  /** Starts a service; resolves once it is ready. Throws a CliFailure with the log's place when it does not get there. */
  async start(spec: ServiceSpec, readyWithinMs: number): Promise<void> {
    this.#running.set(spec.name, { spec, child: null, restarts: 0, failed: null });
    this.#spawn(spec, RESTART_FIRST_MS);
    const deadline = performance.now() + readyWithinMs;
    while (performance.now() < deadline) {
      if (await answers(spec.readyUrl)) return;
      const failed = this.#running.get(spec.name)?.failed;
      if (failed) throw new CliFailure(exitCodes.network, `${spec.name} ${failed}`, `see ${spec.logFile}`);
      await sleep(100);
    }
    throw new CliFailure(
      exitCodes.network,
      `${spec.name} was not ready within ${readyWithinMs / 1000} s`,
      `see ${spec.logFile}`,
    );
  }

  states(): readonly ServiceState[] {
    return [...this.#running.values()].map(({ spec, child, restarts }) => ({
      name: spec.name,
      process: child?.pid === undefined ? null : (processIdentity(child.pid) ?? null),
      restarts,
    }));
  }

  /** Stops services in the reverse order of their start: asks first, kills what has not gone after 25 s. */
  async stop(): Promise<void> {
    this.#stopping = true;
    for (const { child } of [...this.#running.values()].reverse()) {
      if (child !== null) await stopChild(child);
    }
    this.#running.clear();
  }

  #spawn(spec: ServiceSpec, nextPauseMs: number): void {
    const entry = this.#running.get(spec.name);
    if (entry === undefined || this.#stopping) return;
    rotate(spec.logFile);
    const log = openSync(spec.logFile, 'a', 0o600);
    const began = performance.now();
    const child = spawn(process.execPath, ['--enable-source-maps', ...spec.args], {
      stdio: ['ignore', log, log],
      env: {
        PATH: process.env.PATH ?? '',
        HOME: process.env.HOME ?? '/',
        TMPDIR: process.env.TMPDIR ?? '/tmp',
        ...spec.env,
      },
      // Its own group: Ctrl-C on the terminal reaches only this supervisor, which stops the services in order.
      detached: true,
    });
    closeSync(log);
    entry.child = child;
    this.onChange(this.states());
    child.once('error', (error) => {
      entry.failed = `could not be started: ${error.message}`;
    });
    child.once('exit', (code, signal) => {
      entry.child = null;
      if (this.#stopping) return;
      if (code === EXIT_CONFIG) {
        entry.failed = 'refused its configuration';
        this.onChange(this.states());
        return;
      }
      entry.restarts += 1;
      entry.failed =
        entry.restarts >= 8 && performance.now() - began < 2_000 ? `keeps ending (exit ${code ?? signal})` : null;
      this.onChange(this.states());
      const pause = performance.now() - began > STABLE_AFTER_MS ? RESTART_FIRST_MS : nextPauseMs;
      setTimeout(() => this.#spawn(spec, Math.min(pause * 2, RESTART_MAX_MS)), pause).unref();
    });
  }
}

async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_PATIENCE_MS);
  await gone;
  clearTimeout(timer);
}

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(2_000) })).ok;
  } catch {
    return false;
  }
}

function rotate(logFile: string): void {
  try {
    if (statSync(logFile).size > LOG_ROTATE_BYTES) renameSync(logFile, `${logFile}.1`);
  } catch {
    // No log yet.
  }
}
