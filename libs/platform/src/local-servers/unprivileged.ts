import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** uid and gid of "nobody" and "nogroup": present in every passwd file, and needed there by initdb. */
const NOBODY = 65534;

/**
 * How to run a program that refuses to be root. `wrapper` goes before its command line; files it owns belong to `owner`
 * (undefined: to us).
 *
 * Not root: nothing is needed. Root: a user namespace of its own, where it is seen as nobody and files stay root's. Where
 * namespaces are not allowed (most containers): really as nobody, with the one capability that lets it through folders
 * only root may enter. Without that either: as nobody, and its folders must be reachable for nobody.
 */
export interface Unprivileged {
  readonly wrapper: readonly string[];
  readonly owner: number | undefined;
  /** True when folders that only root may enter are out of reach. */
  readonly needsOpenFolders: boolean;
}

const NAMESPACE = ['unshare', '--user', `--map-user=${NOBODY}`, `--map-group=${NOBODY}`, '--'];
const AS_NOBODY = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];
const THROUGH_FOLDERS = ['--inh-caps=+dac_override', '--ambient-caps=+dac_override'];

/** Picks the way that works on this machine. */
export async function unprivileged(): Promise<Unprivileged> {
  if (process.getuid?.() !== 0) return { wrapper: [], owner: undefined, needsOpenFolders: false };
  if (await works(NAMESPACE)) return { wrapper: NAMESPACE, owner: undefined, needsOpenFolders: false };
  const throughFolders = [...AS_NOBODY, ...THROUGH_FOLDERS, '--'];
  if (await works(throughFolders)) return { wrapper: throughFolders, owner: NOBODY, needsOpenFolders: false };
  return { wrapper: [...AS_NOBODY, '--'], owner: NOBODY, needsOpenFolders: true };
}

async function works([command = '', ...args]: readonly string[]): Promise<boolean> {
  return await run(command, [...args, 'true'], { timeout: 10_000 }).then(
    () => true,
    () => false,
  );
}
