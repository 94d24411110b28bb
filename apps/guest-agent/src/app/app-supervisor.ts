import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentLog } from '../agent-log.js';
import type { ProgressReporter } from '../host/progress-reporter.js';
import type { AppCommand } from './app-command.js';
import { type AppExit, AppProcess } from './app-process.js';
import { CappedLog } from './capped-log.js';
import { untilHealthy } from './health.js';

const LOG_MAX_BYTES = 4 * 1024 * 1024;
const FIRST_RESTART_MS = 500;
const LONGEST_RESTART_MS = 30_000;
/** A run this long counts as a success: the next restart is quick again. */
const GOOD_RUN_MS = 60_000;

export interface SupervisedApp {
  readonly command: AppCommand;
  readonly environment: NodeJS.ProcessEnv;
  readonly address: string;
  readonly ports: readonly number[];
  readonly logPath: string;
  readonly progress: ProgressReporter;
  readonly log: AgentLog;
  /** Called each time a run becomes healthy. */
  readonly onHealthy: () => Promise<void>;
}

/**
 * Keeps the app running until `signal`: a crash restarts it, with waits that double from half a second to thirty. An app
 * without ports may end with status 0 and is then done; one with ports must serve. Returns when stopped or done.
 */
export async function superviseApp(app: SupervisedApp, signal: AbortSignal): Promise<void> {
  const output = new CappedLog(app.logPath, LOG_MAX_BYTES);
  try {
    let waitMs = FIRST_RESTART_MS;
    while (!signal.aborted) {
      const startedMs = performance.now();
      const exit = await runOnce(app, output, signal);
      if (signal.aborted) return;
      if (exit.code === 0 && app.ports.length === 0) {
        app.progress.report('app-finished', 'the app ended with status 0');
        return;
      }
      if (performance.now() - startedMs > GOOD_RUN_MS) waitMs = FIRST_RESTART_MS;
      app.progress.report('app-restarting', `the app ended with ${describe(exit)}; starting it again in ${waitMs} ms`);
      await sleep(waitMs, undefined, { signal }).catch(() => undefined);
      waitMs = Math.min(waitMs * 2, LONGEST_RESTART_MS);
    }
  } finally {
    output.close();
  }
}

/** Runs the app until it ends, or ends it when `signal` says so; reports it healthy in between. */
async function runOnce(app: SupervisedApp, output: CappedLog, signal: AbortSignal): Promise<AppExit> {
  const run = new AppProcess(app.command, app.environment, output);
  app.log.info('app started', { pid: run.pid });
  const runEnded = new AbortController();
  const ended = run.exited.finally(() => runEnded.abort());
  const stop = (): void => {
    void run.stop();
  };
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  // Not awaited: a host that does not answer must not keep a crashed app down.
  void untilHealthy(app.address, app.ports, runEnded.signal)
    .catch(() => undefined)
    .then(async () => {
      // An app that does its work and ends well without ports was healthy, however short its run.
      if (!runEnded.signal.aborted || (app.ports.length === 0 && (await ended).code === 0)) await app.onHealthy();
    })
    .catch((error: unknown) => app.log.warn('health was not reported', { error: (error as Error).message }));
  try {
    return await ended;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

function describe({ code, signal }: AppExit): string {
  return signal === null ? `status ${code}` : `signal ${signal}`;
}
