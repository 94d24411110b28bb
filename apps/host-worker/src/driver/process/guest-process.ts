import { spawn } from 'node:child_process';
import { open, readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { isAlive, type ProcessIdentity, processIdentity } from '@vouch/platform';
import { z } from 'zod';
import { writeFileAtomically } from '../../atomic-file.js';
import { DriverError } from '../driver-error.js';
import type { GuestStatus } from '../guest-driver.js';
import type { GuestFolder } from './guest-folder.js';
import { FOLDER_VARIABLE, LAUNCH_VARIABLE, processesOf } from './process-scan.js';

const POLL_MS = 25;
const KILL_DEADLINE_MS = 10_000;

/**
 * A shell that outlives the worker and leaves the agent's exit code in a file, so that it is known after an adoption too.
 * It ignores the stop signal by a trap (not by SIG_IGN, which the agent would inherit) and waits for the agent.
 */
const SUPERVISOR =
  'trap : TERM INT HUP; out=$1; shift; "$@"; code=$?; printf %s "$code" >"$out.new" && mv "$out.new" "$out"';

const recordSchema = z.strictObject({ launchId: z.string(), pid: z.number().int().positive(), started: z.string() });
export type ProcessRecord = z.infer<typeof recordSchema>;

/** Exit codes of the guest agent after which another start of the same guest ends the same way. */
const FINAL_EXITS: ReadonlyMap<number, string> = new Map([
  [3, 'the KMS denied the grant'],
  [64, 'the guest agent does not understand its arguments'],
]);

/** Starts the supervisor and the agent in a session of their own, output to agent.log. `onExit` is only a hint. */
export async function startGuestProcess(
  folder: GuestFolder,
  launchId: string,
  command: readonly string[],
  onExit: () => void,
): Promise<ProcessRecord> {
  const log = await open(folder.agentLog, 'a', 0o600);
  try {
    const child = spawn('/bin/sh', ['-c', SUPERVISOR, 'vouch-guest', folder.exitFile(launchId), ...command], {
      cwd: folder.guest,
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
      env: {
        PATH: process.env.PATH ?? '/usr/local/bin:/usr/bin:/bin',
        LANG: 'C.UTF-8',
        HOME: folder.guest,
        [LAUNCH_VARIABLE]: launchId,
        [FOLDER_VARIABLE]: folder.marker,
      },
    });
    const failure = await new Promise<Error | undefined>((resolve) => {
      child.once('spawn', () => resolve(undefined));
      child.once('error', resolve);
    });
    if (failure !== undefined || child.pid === undefined) {
      throw new DriverError('spawn-failed', `the guest agent could not be started: ${failure?.message}`, true);
    }
    child.once('exit', onExit);
    child.unref();
    const identity = processIdentity(child.pid) ?? { pid: child.pid, started: 'ended-at-once' };
    return await record(folder, launchId, identity);
  } finally {
    await log.close();
  }
}

/** How the launch stands, from the record, or from the process table when the record was never written. */
export async function statusOfLaunch(folder: GuestFolder, launchId: string): Promise<GuestStatus> {
  let known = await readRecord(folder);
  if (known?.launchId !== launchId) {
    const supervisor = supervisorOf(folder, launchId);
    if (supervisor !== undefined) known = await record(folder, launchId, supervisor);
  }
  if (known?.launchId === launchId && isAlive(known)) return { state: 'running' };
  const exitCode = await readExitCode(folder, launchId);
  if (known?.launchId !== launchId && exitCode === undefined) return { state: 'absent' };
  return endedWith(exitCode);
}

/** SIGTERM to the agent's group, and after `graceMs` SIGKILL to everything of the guest, the app included. */
export async function endGuestProcesses(folder: GuestFolder, graceMs: number): Promise<void> {
  const deadline = performance.now() + graceMs;
  if (graceMs > 0) for (const pid of agentPids(folder)) signal(pid, 'SIGTERM');
  // The app is the agent's to end: what is left of it once the agent is gone need not be waited for.
  while (agentPids(folder).length > 0 && performance.now() < deadline) await delay(POLL_MS);
  const killDeadline = performance.now() + KILL_DEADLINE_MS;
  for (let left = processesOf(folder); left.length > 0; left = processesOf(folder)) {
    for (const { identity } of left) signal(identity.pid, 'SIGKILL');
    if (performance.now() > killDeadline) {
      const pids = left.map(({ identity }) => identity.pid).join(', ');
      throw new DriverError('guest-would-not-end', `processes ${pids} of the guest do not end even by SIGKILL`, true);
    }
    await delay(POLL_MS);
  }
}

/** The agent with its supervisor and what it runs in its own environment. */
function _agentPids(folder: GuestFolder): number[] {
  return processesOf(folder).flatMap(({ identity, launchId }) => (launchId === undefined ? [] : [identity.pid]));
}

/** The agent with its supervisor and what it runs in its own environment. */
function agentPids(folder: GuestFolder): number[] {
  return processesOf(folder).flatMap(({ identity, launchId }) => (launchId === undefined ? [] : [identity.pid]));
}

function endedWith(exitCode: number | undefined): GuestStatus {
  if (exitCode === undefined) {
    return { state: 'ended', exitCode: null, reason: 'the guest was killed', isFinal: false };
  }
  // The shell reports a signal as 128 + its number.
  if (exitCode > 128) {
    return { state: 'ended', exitCode: null, reason: `ended by signal ${exitCode - 128}`, isFinal: false };
  }
  const final = FINAL_EXITS.get(exitCode);
  return { state: 'ended', exitCode, reason: final ?? 'the guest agent ended', isFinal: final !== undefined };
}

/** The oldest process of the launch: the supervisor shell, which started the others. */
function supervisorOf(folder: GuestFolder, launchId: string): ProcessIdentity | undefined {
  const own = processesOf(folder).filter((process) => process.launchId === launchId);
  return own.map(({ identity }) => identity).sort((a, b) => ticksOf(a) - ticksOf(b) || a.pid - b.pid)[0];
}

function ticksOf({ started }: ProcessIdentity): number {
  return Number(started.split(':')[1]);
}

async function record(folder: GuestFolder, launchId: string, identity: ProcessIdentity): Promise<ProcessRecord> {
  const made = { launchId, pid: identity.pid, started: identity.started };
  await writeFileAtomically(folder.processFile, JSON.stringify(made));
  return made;
}

export async function readRecord(folder: GuestFolder): Promise<ProcessRecord | undefined> {
  const text = await readFile(folder.processFile, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    return recordSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

async function readExitCode(folder: GuestFolder, launchId: string): Promise<number | undefined> {
  const text = await readFile(folder.exitFile(launchId), 'utf8').catch(() => '');
  return /^\d{1,3}$/.test(text) ? Number(text) : undefined;
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
