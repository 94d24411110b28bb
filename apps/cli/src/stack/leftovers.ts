import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** Variables that mark a process as part of a stack: the supervisor's mark, and socket paths that only guests have. */
export const STACK_VARIABLE = 'VOUCH_STACK';
const MARKING_VARIABLES = [STACK_VARIABLE, 'DSTACK_AGENT_ADDRESS', 'DSTACK_SIMULATOR_ENDPOINT'];

/**
 * Pids of processes that still belong to a stack whose supervisor is gone: they name a path below one of `roots` in their
 * arguments, or carry its mark in their environment. Never this process or its parents.
 */
export function leftoverPids(roots: readonly string[]): readonly number[] {
  const mine = new Set(ancestry());
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => !mine.has(pid) && belongs(pid, roots));
}

/** Ends the leftovers: SIGTERM, up to 10 s of patience, then SIGKILL. Answers how many there were. */
export async function endLeftovers(roots: readonly string[]): Promise<number> {
  const found = leftoverPids(roots);
  for (const pid of found) signal(pid, 'SIGTERM');
  for (let waited = 0; waited < 10_000 && leftoverPids(roots).length > 0; waited += 100) await sleep(100);
  for (const pid of leftoverPids(roots)) signal(pid, 'SIGKILL');
  return found.length;
}

function belongs(pid: number, roots: readonly string[]): boolean {
  const args = read(`/proc/${pid}/cmdline`).split('\0');
  if (args.slice(1).some((arg) => roots.some((root) => arg === root || arg.includes(`${root}/`)))) return true;
  return read(`/proc/${pid}/environ`)
    .split('\0')
    .some((entry) => MARKING_VARIABLES.some((name) => roots.some((root) => isUnder(entry, name, root))));
}

function isUnder(entry: string, name: string, root: string): boolean {
  return entry === `${name}=${root}` || (entry.startsWith(`${name}=`) && entry.includes(`${root}/`));
}

function ancestry(): number[] {
  const chain: number[] = [];
  for (let pid = process.pid; pid > 1 && !chain.includes(pid); ) {
    chain.push(pid);
    const stat = read(`/proc/${pid}/stat`);
    pid = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1] ?? 0);
  }
  return chain;
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // Gone meanwhile.
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
