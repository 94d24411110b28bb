import { isAbsolute } from 'node:path';
import { z } from 'zod';
import { MAX_SOCKET_PATH_BYTES } from './http/listen.js';

export interface Settings {
  readonly dataDir: string;
  readonly adminSocket: string;
  readonly pccsHost: string;
  /** 0 takes a free port. */
  readonly pccsPort: number;
  /** `PUT /platform` may give the platform defects; else it is healthy, whatever was set before. */
  readonly unsafeDefects: boolean;
}

/** A setting is missing or wrong. The message names the variable and what it must be. */
export class SettingsInvalidError extends Error {
  readonly code = 'settings-invalid';
  readonly retryable = false;
  constructor(message: string) {
    super(message);
    this.name = 'SettingsInvalidError';
  }
}

const LISTEN = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):(\d{1,5})$/;

const environmentSchema = z.object({
  SIMULATOR_DATA_DIR: z.string('is not set').refine(isAbsolute, 'must be an absolute path'),
  SIMULATOR_ADMIN_SOCKET: z
    .string('is not set')
    .refine(isAbsolute, 'must be an absolute path')
    .refine(
      (path) => Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES,
      `must be at most ${MAX_SOCKET_PATH_BYTES} bytes`,
    ),
  SIMULATOR_PCCS_LISTEN: z.string('is not set').regex(LISTEN, 'must be host:port'),
  SIMULATOR_UNSAFE_DEFECTS: z.literal('1', 'must be 1 or not set').optional(),
});

/**
 * Reads SIMULATOR_DATA_DIR, SIMULATOR_ADMIN_SOCKET, SIMULATOR_PCCS_LISTEN and SIMULATOR_UNSAFE_DEFECTS. Throws SettingsInvalidError.
 */
export function readSettings(environment: NodeJS.ProcessEnv): Settings {
  const parsed = environmentSchema.safeParse(environment);
  if (!parsed.success) {
    const reasons = parsed.error.issues.map((issue) => `${issue.path.join('.')} ${issue.message}`);
    throw new SettingsInvalidError(reasons.join('; '));
  }
  const [, host = '', port = ''] = LISTEN.exec(parsed.data.SIMULATOR_PCCS_LISTEN) ?? [];
  if (Number(port) > 65_535) throw new SettingsInvalidError('SIMULATOR_PCCS_LISTEN must have a port up to 65535');
  return {
    dataDir: parsed.data.SIMULATOR_DATA_DIR,
    adminSocket: parsed.data.SIMULATOR_ADMIN_SOCKET,
    pccsHost: host.replace(/^\[|\]$/g, ''),
    pccsPort: Number(port),
    unsafeDefects: parsed.data.SIMULATOR_UNSAFE_DEFECTS === '1',
  };
}
