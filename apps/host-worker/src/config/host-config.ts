import { resolve } from 'node:path';
import { HOST_ID } from '@vouch/domain';
import { ConfigError, readConfig } from '@vouch/platform';
import { z } from 'zod';

const count = z.coerce.number().int().positive();

const hostConfigSchema = z.object({
  /** Host id: the only subjects this worker may write carry it. */
  VOUCH_NODE: z.string().regex(HOST_ID, 'must be 1-32 of a-z, 0-9 and "-", starting with a letter'),
  VOUCH_MODE: z.enum(['development', 'production']).default('production'),
  /** Guests, journals and logs of this host lie here. */
  HOST_DATA_DIR: z.string().transform((path) => resolve(path)),
  HOST_DRIVER: z.enum(['process']),
  SIMULATOR_ADMIN_SOCKET: z.string().transform((path) => resolve(path)),
  /** Compiled entry of the guest agent; its folder is the guest image that is measured. */
  GUEST_AGENT_ENTRY: z.string().transform((path) => resolve(path)),
  HOST_VCPU: count,
  HOST_MEMORY_MIB: count,
  /** 1: SIGTERM stops the guests too. Otherwise they go on and the next worker adopts them. */
  HOST_STOP_GUESTS_ON_EXIT: z.enum(['0', '1']).default('0'),
  /** How long a guest may take to end by itself before it is killed; its app gets five seconds of it. */
  HOST_STOP_GRACE_SECONDS: z.coerce.number().positive().max(600).default(15),
});

export type HostConfig = z.infer<typeof hostConfigSchema>;

/** Reads the worker's own settings. Throws ConfigError; a process driver is refused in production. */
export function readHostConfig(env: NodeJS.ProcessEnv = process.env): HostConfig {
  const config = readConfig(hostConfigSchema, env);
  if (config.HOST_DRIVER === 'process' && config.VOUCH_MODE !== 'development') {
    throw new ConfigError([
      'HOST_DRIVER: "process" runs guests without a confidential VM (unsafeProcessGuest) and is refused unless VOUCH_MODE=development',
    ]);
  }
  return config;
}
