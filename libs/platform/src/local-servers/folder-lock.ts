import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isAlive, type ProcessIdentity, processIdentity } from '../process-identity.js';

const POLL_MS = 100;
/** A lock without a readable owner this old (ms) was left by a process that died between the two steps of taking it. */
const OWNERLESS_MS = 5_000;

/** Runs `work` while holding the lock folder `path`; a lock whose holder died is taken over. Works between processes. */
export async function withFolderLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  let ownerlessSince: number | undefined;
  while (!(await tryTake(path))) {
    const holder = await holderOf(path);
    if (holder === undefined) ownerlessSince ??= performance.now();
    else ownerlessSince = undefined;
    const isStale = holder === undefined ? performance.now() - (ownerlessSince ?? 0) > OWNERLESS_MS : !isAlive(holder);
    if (isStale) await breakLock(path);
    else await delay(POLL_MS);
  }
  try {
    return await work();
  } finally {
    await rm(path, { recursive: true, force: true });
  }
}

async function tryTake(path: string): Promise<boolean> {
  try {
    await mkdir(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
  await writeFile(join(path, 'holder.json'), JSON.stringify(processIdentity(process.pid)));
  return true;
}

async function holderOf(path: string): Promise<ProcessIdentity | undefined> {
  try {
    return JSON.parse(await readFile(join(path, 'holder.json'), 'utf8')) as ProcessIdentity;
  } catch {
    return undefined;
  }
}

/** Renames first: of several waiters only one can move the dead lock away. */
async function breakLock(path: string): Promise<void> {
  const aside = `${path}.${process.pid}.dead`;
  await rename(path, aside).catch(() => undefined);
  await rm(aside, { recursive: true, force: true });
}
