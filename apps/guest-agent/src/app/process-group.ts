import { readdirSync, readFileSync } from 'node:fs';

/**
 * True while a process of the group can still run or hold a port. Dead members that nobody has reaped yet do not count:
 * where process 1 does not reap orphans they stay for ever, and a signal to the group still "reaches" them.
 */
export function groupLives(groupId: number): boolean {
  if (!reaches(groupId)) return false;
  if (process.platform !== 'linux') return true;
  return readdirSync('/proc').some((name) => /^\d+$/.test(name) && isLivingMember(name, groupId));
}

function reaches(groupId: number): boolean {
  try {
    return process.kill(-groupId, 0);
  } catch {
    return false;
  }
}

/** Reads `/proc/<pid>/stat`: "pid (command) state parent group ...", where the command may hold anything, ")" too. */
function isLivingMember(pid: string, groupId: number): boolean {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    // Gone since the folder was listed.
    return false;
  }
  const [state, , group] = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return Number(group) === groupId && state !== 'Z' && state !== 'X';
}
