import { assertPortFree, freePort, LocalServerError } from '@vouch/platform/local-servers';
import { misuse } from '../failure.js';

/** A listener of the stack: the variable that fixes its port, and the port it takes when that one is free. */
export interface PortWish {
  readonly variable: string;
  readonly preferred: number;
  readonly what: string;
}

export const portWishes = {
  nats: { variable: 'VOUCH_PORT_NATS', preferred: 4222, what: 'nats-server' },
  postgres: { variable: 'VOUCH_PORT_POSTGRES', preferred: 5433, what: 'Postgres' },
  redis: { variable: 'VOUCH_PORT_REDIS', preferred: 6380, what: 'Redis' },
  chain: { variable: 'VOUCH_PORT_CHAIN', preferred: 8545, what: 'the EVM node' },
  pccs: { variable: 'VOUCH_PORT_PCCS', preferred: 8081, what: 'the quote simulator' },
  api: { variable: 'VOUCH_PORT_API', preferred: 7080, what: 'control-api' },
  gateway: { variable: 'VOUCH_PORT_GATEWAY', preferred: 8443, what: 'the gateway' },
} as const satisfies Record<string, PortWish>;

export type PortName = keyof typeof portWishes;

/**
 * Chooses a port: the one the user fixed (refused when taken, with the holder's name), else last time's, else the
 * preferred one, else any free one.
 */
export async function choosePort(
  wish: PortWish,
  fixed: string | undefined,
  lastTime: number | undefined,
): Promise<number> {
  if (fixed !== undefined) {
    const port = Number(fixed);
    if (!Number.isInteger(port) || port < 1 || port > 65_535)
      throw misuse(`${wish.variable}=${fixed} is not a port (1-65535)`);
    await assertPortFree(port, wish.what, wish.variable);
    return port;
  }
  for (const port of [lastTime, wish.preferred]) {
    if (port !== undefined && (await isPortFree(port, wish))) return port;
  }
  return freePort();
}

async function isPortFree(port: number, wish: PortWish): Promise<boolean> {
  try {
    await assertPortFree(port, wish.what, wish.variable);
    return true;
  } catch (error) {
    if (error instanceof LocalServerError && error.code === 'port-taken') return false;
    throw error;
  }
}
