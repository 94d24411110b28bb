import { LocalServerError } from './errors.js';
import type { LocalServer } from './local-server.js';
import { assertPortFree, freePort } from './ports.js';

const ATTEMPTS = 4;

/**
 * Starts on the wanted port, or on free ones until one start succeeds: between choosing a free port and the server
 * listening on it, another process may take it.
 */
export async function onPort<T extends LocalServer>(
  wanted: number | undefined,
  what: string,
  setting: string | undefined,
  start: (port: number) => Promise<T>,
): Promise<T> {
  if (wanted !== undefined && wanted !== 0) {
    await assertPortFree(wanted, what, setting ?? 'its port');
    return await start(wanted);
  }
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await start(await freePort());
    } catch (error) {
      const mayBePort =
        error instanceof LocalServerError && error.code === 'start-failed' && /in use/i.test(error.message);
      if (!mayBePort || attempt === ATTEMPTS) throw error;
    }
  }
}
