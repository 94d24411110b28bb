import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** uid and gid of "nobody" and "nogroup": present in every passwd file, and needed there by initdb. */
export const NOBODY = 65534;

/**
 * How to run a program that refuses to be root. `direct`: we are not root. `unshare`: root in a user namespace of its
 * own, where it is seen as nobody; files stay root's, so folders below a 0700 parent work. `setuid`: really as nobody,
 * where namespaces are not allowed; its folders must be reachable for nobody.
 */
export type Unprivileged =
  | { readonly way: 'direct' }
  | { readonly way: 'unshare'; readonly wrapper: readonly string[] }
  | { readonly way: 'setuid' };

const WRAPPER = ['unshare', '--user', `--map-user=${NOBODY}`, `--map-group=${NOBODY}`, '--'];

/** Picks the way that works on this machine. */
export async function unprivileged(): Promise<Unprivileged> {
  if (process.getuid?.() !== 0) return { way: 'direct' };
  const [command = '', ...args] = WRAPPER;
  const hasNamespaces = await run(command, [...args, 'true'], { timeout: 10_000 }).then(
    () => true,
    () => false,
  );
  return hasNamespaces ? { way: 'unshare', wrapper: WRAPPER } : { way: 'setuid' };
}
