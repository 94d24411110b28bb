import { readdirSync, readFileSync } from 'node:fs';
import { type ProcessIdentity, processIdentity } from '@vouch/platform';
import type { GuestFolder } from './guest-folder.js';

/** Variable in the environment of a guest's processes that names the launch they belong to. */
export const LAUNCH_VARIABLE = 'VOUCH_LAUNCH_ID';
/** Variable that names the guest folder. */
export const FOLDER_VARIABLE = 'VOUCH_GUEST_FOLDER';
/** Set by the guest agent for the app: a path inside the guest folder. */
const APP_VARIABLE = 'DSTACK_SIMULATOR_ENDPOINT';

/** A process whose environment says that it belongs to a guest. */
export interface GuestProcess {
  readonly identity: ProcessIdentity;
  /** Undefined for processes of the app, which has an environment of its own. */
  readonly launchId: string | undefined;
}

/**
 * Every process of a guest, found by environment: complete also after the worker was killed between starting a guest and
 * writing that down, and safe against reused pids, since the folder is in the environment only of what was started for it.
 */
export function processesOf({ root, marker }: Pick<GuestFolder, 'root' | 'marker'>): GuestProcess[] {
  const found: GuestProcess[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const environment = environmentOf(name);
    const isGuest =
      environment.get(FOLDER_VARIABLE) === marker || environment.get(APP_VARIABLE)?.startsWith(`${root}/`) === true;
    if (!isGuest) continue;
    const identity = processIdentity(Number(name));
    if (identity !== undefined) found.push({ identity, launchId: environment.get(LAUNCH_VARIABLE) });
  }
  return found;
}

function environmentOf(pid: string): Map<string, string> {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/environ`, 'utf8');
  } catch {
    // Gone meanwhile, or another user's.
    return new Map();
  }
  return new Map(
    text.split('\0').flatMap((entry) => {
      const at = entry.indexOf('=');
      return at > 0 ? [[entry.slice(0, at), entry.slice(at + 1)] as const] : [];
    }),
  );
}
