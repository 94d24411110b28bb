import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AppCommand } from './app-command.js';
import type { CappedLog } from './capped-log.js';
import { groupLives } from './process-group.js';

/**
 * Runs the app in a process group of its own. The pipe on descriptor 3 is held by the agent alone: when the agent is gone,
 * in whatever way, the reader in the group sees its end and kills the group. An app never outlives its agent.
 */
const GUARD = '(trap "" TERM INT HUP; cat <&3 >/dev/null 2>&1; kill -KILL 0) & exec 3<&-; exec "$@"';
const STOP_TIMEOUT_MS = 5_000;
const POLL_MS = 20;
/** Five seconds: what SIGKILL does not end by then hangs in the kernel. */
const GONE_POLLS = 250;
/** A process that left the group may hold the output open for ever. */
const OUTPUT_END_MS = 1_000;

export interface AppExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** One run of the app. */
export class AppProcess {
  /** Settles when the app's first process ended and its whole group is gone. */
  readonly exited: Promise<AppExit>;
  readonly #child: ChildProcess;

  constructor(command: AppCommand, environment: NodeJS.ProcessEnv, output: CappedLog) {
    this.#child = spawn('/bin/sh', ['-c', GUARD, 'app', command.file, ...command.args], {
      cwd: command.folder,
      env: environment,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    });
    this.#child.stdout?.on('data', (chunk: Buffer) => output.write(chunk));
    this.#child.stderr?.on('data', (chunk: Buffer) => output.write(chunk));
    // The guard's pipe carries nothing; its other end closing is no error of the agent.
    this.#child.stdio[3]?.on('error', () => undefined);
    this.exited = this.#untilGone();
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Asks the whole group to end, and kills it after five seconds. */
  async stop(): Promise<AppExit> {
    this.#signal('SIGTERM');
    const timer = new AbortController();
    await Promise.race([
      this.exited,
      sleep(STOP_TIMEOUT_MS, undefined, { signal: timer.signal }).catch(() => undefined),
    ]);
    timer.abort();
    this.#signal('SIGKILL');
    return await this.exited;
  }

  async #untilGone(): Promise<AppExit> {
    const exit = await new Promise<AppExit>((resolve, reject) => {
      this.#child.once('error', reject);
      this.#child.once('exit', (code, signal) => resolve({ code, signal }));
    });
    // The guard and whatever the app left behind: nothing of this run may meet the next one.
    this.#signal('SIGKILL');
    const { pid } = this.#child;
    for (let polls = 0; pid !== undefined && polls < GONE_POLLS && groupLives(pid); polls += 1) await sleep(POLL_MS);
    await this.#outputEnd();
    return exit;
  }

  async #outputEnd(): Promise<void> {
    const streams = [this.#child.stdout, this.#child.stderr].filter((stream) => stream !== null);
    const open = streams.filter((stream) => !stream.closed);
    const timer = new AbortController();
    await Promise.race([
      Promise.all(open.map((stream) => once(stream, 'close'))),
      sleep(OUTPUT_END_MS, undefined, { signal: timer.signal }).catch(() => undefined),
    ]);
    timer.abort();
    for (const stream of streams) stream.destroy();
  }

  #signal(signal: NodeJS.Signals): void {
    const { pid } = this.#child;
    if (pid === undefined) return;
    try {
      process.kill(-pid, signal);
    } catch {
      // The group is gone.
    }
  }
}
