import { spawn } from 'node:child_process';
import { closeSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isAlive } from '@vouch/platform/local-servers';
import type { Command } from 'commander';
import { Listr } from 'listr2';
import { ApiClient } from '../api-client.js';
import { dataFolder, projectRoot } from '../context.js';
import { CliFailure, exitCodes } from '../failure.js';
import { note } from '../output.js';
import { type Layout, openLayout } from '../stack/layout.js';
import { endLeftovers, leftoverPids } from '../stack/leftovers.js';
import { Stack } from '../stack/stack.js';
import { readState } from '../stack/state.js';
import { deploy, urlsOf } from './deploy.js';
import type { AppRow, InstanceRow } from './fleet-types.js';

const DETACH_PATIENCE_MS = 300_000;
const RELAUNCH_PATIENCE_MS = 60_000;
const EXAMPLE_OPTIONS = { approve: true, vcpu: '1', memory: '256', disk: '1', wait: true, timeout: '120s' } as const;
const EXAMPLE = join(projectRoot, 'examples', 'hello', 'app-compose.json');

/** `vouch up`: the whole stack in the foreground until Ctrl-C, or detached. */
export function addUpCommand(program: Command): void {
  program
    .command('up')
    .description('start the whole stack on this machine; Ctrl-C stops it')
    .option('--example', 'deploy examples/hello and show where it is reachable')
    .option('--detach', 'return once the stack is ready; stop it with `vouch down`')
    .action(async (options: { example?: boolean; detach?: boolean }) => {
      if (options.detach === true) return startDetached(options.example === true);
      await runForeground(options.example === true);
    });
}

async function runForeground(example: boolean): Promise<void> {
  const layout = openLayout(dataFolder());
  const running = readState(layout);
  if (running !== null && isAlive(running.supervisor)) {
    note(
      `The stack is already up (pid ${running.supervisor.pid}, since ${running.startedAt}); see \`vouch status\`, stop it with \`vouch down\`.`,
    );
    return;
  }
  const stale = await endLeftovers(rootsOf(layout));
  if (stale > 0) note(`Ended ${stale} processes that an earlier, killed stack had left.`);
  const stack = new Stack(layout, (message) => note(message));
  const stopped = stopOnSignal(stack, layout);
  try {
    await bringUp(stack);
    if (example) await deployExample(stack);
    showWhereThingsAre(stack);
  } catch (error) {
    if (stopped.begun) return stopped.done;
    note('Stopping what was started ...');
    await stack.stop();
    removeLink(layout);
    throw error;
  }
  await stopped.done;
}

/** Runs the steps with live progress on a terminal, plain lines elsewhere. */
async function bringUp(stack: Stack): Promise<void> {
  const began = performance.now();
  const tasks = stack.steps().map(({ title, run }) => ({
    title,
    task: async (_: unknown, task: { title: string; output: string }) => {
      const stepBegan = performance.now();
      let last = '';
      await run((detail) => {
        last = detail;
        task.output = detail;
      });
      task.title = `${title}: ${last} (${((performance.now() - stepBegan) / 1000).toFixed(1)} s)`;
    },
  }));
  await new Listr(tasks, {
    concurrent: false,
    exitOnError: true,
    registerSignalListeners: false,
    fallbackRenderer: 'simple',
    rendererOptions: { collapseErrors: false },
  }).run();
  note(`The stack is up (${((performance.now() - began) / 1000).toFixed(1)} s).`);
}

/** Deploys the example, or waits for the one of last time to be healthy again; shows how to reach it. */
async function deployExample(stack: Stack): Promise<void> {
  const { context } = stack;
  const api = new ApiClient(context);
  const last = await wantedInstance(api, 'hello');
  if (last !== null) note(`\nexamples/hello was deployed before; its guest comes up again:`);
  else note('\nDeploying examples/hello:');
  const instanceId =
    last === null
      ? (await deploy(context, EXAMPLE, EXAMPLE_OPTIONS)).instanceId
      : await waitUntilHealthy(api, last.instanceId);
  const [url] = await urlsOf(api, context, instanceId);
  note(`\nReachable over TLS, attested and keyed:\n  curl --cacert ${context.caFile ?? ''} ${url ?? ''}`);
  note(`Its story: npx vouch events    Its checks: npx vouch verify ${instanceId}`);
}

/** The newest instance of the named app that should be running, if there is one. */
async function wantedInstance(api: ApiClient, appName: string): Promise<InstanceRow | null> {
  const { items: apps } = await api.get<{ items: AppRow[] }>('/v1/apps');
  const { items } = await api.get<{ items: InstanceRow[] }>('/v1/instances');
  const ids = apps.filter(({ name }) => name === appName).map(({ appId }) => appId);
  const wanted = items.filter(
    ({ appId, desired, hostId }) => ids.includes(appId) && desired === 'running' && hostId !== null,
  );
  return wanted.sort((x, y) => Date.parse(y.createdAt) - Date.parse(x.createdAt))[0] ?? null;
}

async function waitUntilHealthy(api: ApiClient, instanceId: string): Promise<string> {
  let state = '';
  for (const deadline = performance.now() + RELAUNCH_PATIENCE_MS; performance.now() < deadline; await sleep(200)) {
    const instance = await api.get<InstanceRow>(`/v1/instances/${instanceId}`);
    if (instance.state !== state) note(`  ${instance.state}`);
    state = instance.state;
    if (state === 'healthy') return instanceId;
  }
  throw new CliFailure(
    exitCodes.timeout,
    `instance ${instanceId} is ${state}, not healthy`,
    `see: npx vouch logs ${instanceId}`,
  );
}

function showWhereThingsAre(stack: Stack): void {
  const { context } = stack;
  note(
    `\nDashboard  ${context.apiUrl}/#token=${context.apiToken}\nAPI        ${context.apiUrl}/docs\nData       ${dataFolder()}\n\nCtrl-C stops everything.`,
  );
}

function stopOnSignal(stack: Stack, layout: Layout): { readonly begun: boolean; readonly done: Promise<void> } {
  const state = { begun: false, done: Promise.resolve() };
  state.done = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => {
        if (state.begun) return;
        state.begun = true;
        note('\nStopping services, guests and servers ...');
        void stack
          .stop()
          .then(() => endLeftovers(rootsOf(layout)))
          .then(() => {
            removeLink(layout);
            note('Everything is stopped. Data is kept; `npx vouch down --purge` removes it.');
            resolve();
            process.exit(0);
          });
      });
    }
  });
  return state;
}

/** Starts `vouch up` in a session of its own and waits until it says it is ready. */
async function startDetached(example: boolean): Promise<void> {
  const layout = openLayout(dataFolder());
  const running = readState(layout);
  if (running !== null && isAlive(running.supervisor))
    return note(`The stack is already up (pid ${running.supervisor.pid}).`);
  const logFile = join(layout.logsFolder, 'up.log');
  const log = openSync(logFile, 'w', 0o600);
  const child = spawn(process.execPath, [process.argv[1] ?? '', 'up', ...(example ? ['--example'] : [])], {
    detached: true,
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  child.unref();
  let ended = false;
  child.once('exit', () => {
    ended = true;
  });
  for (const deadline = performance.now() + DETACH_PATIENCE_MS; performance.now() < deadline; await sleep(200)) {
    const state = readState(layout);
    if (state?.ready === true && state.supervisor.pid === child.pid)
      return note(`The stack is up (pid ${child.pid}); log: ${logFile}`);
    if (ended) throw new CliFailure(exitCodes.network, 'the stack did not start', `see ${logFile}`);
  }
  throw new CliFailure(
    exitCodes.timeout,
    `the stack was not ready within ${DETACH_PATIENCE_MS / 1000} s`,
    `see ${logFile}`,
  );
}

/** `vouch down`: stops the stack of this data folder; with --purge removes the folder too. */
export function addDownCommand(program: Command): void {
  program
    .command('down')
    .description('stop the stack on this machine, guests included')
    .option('--purge', 'also remove the data folder: keys, log, database, guests')
    .action(async (options: { purge?: boolean }) => {
      const layout = openLayout(dataFolder());
      const state = readState(layout);
      if (state !== null && isAlive(state.supervisor)) {
        process.kill(state.supervisor.pid, 'SIGTERM');
        for (const deadline = performance.now() + 90_000; isAlive(state.supervisor); await sleep(100)) {
          if (performance.now() > deadline) {
            process.kill(state.supervisor.pid, 'SIGKILL');
            break;
          }
        }
      }
      await endLeftovers(rootsOf(layout));
      if (leftoverPids(rootsOf(layout)).length > 0)
        throw new CliFailure(
          exitCodes.network,
          `some processes would not end: ${leftoverPids(rootsOf(layout)).join(', ')}`,
          'end them by hand, then run this again',
        );
      removeLink(layout);
      if (options.purge === true) rmSync(dataFolder(), { recursive: true, force: true });
      note(
        options.purge === true ? `Stopped, and ${dataFolder()} removed.` : 'Stopped. Data is kept; --purge removes it.',
      );
    });
}

function rootsOf(layout: Layout): readonly string[] {
  return [...new Set([layout.root, dataFolder()])];
}

function removeLink(layout: Layout): void {
  if (layout.linkFolder !== null) rmSync(layout.linkFolder, { recursive: true, force: true });
}
