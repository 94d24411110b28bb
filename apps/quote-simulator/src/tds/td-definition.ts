import { dirname, isAbsolute } from 'node:path';
import { type ProcessVmConfig, readProcessVmConfig } from '@vouch/attestation';
import { z } from 'zod';
import { RequestRefusedError } from '../http/json-service.js';
import { MAX_SOCKET_PATH_BYTES } from '../http/listen.js';

/** One TD as its host asked for it. */
export const tdDefinitionSchema = z.strictObject({
  /** Absolute path of the guest's channel. */
  socketPath: z
    .string()
    .refine((path) => isAbsolute(path) && !path.includes('\0') && dirname(path) !== path, 'an absolute path')
    .refine((path) => Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES, `at most ${MAX_SOCKET_PATH_BYTES} bytes`),
  /** Exact vm_config text; decides MRTD and RTMR 0-2. */
  vmConfig: z.string().max(16 * 1024),
  /** 48 bytes, hex. */
  mrConfigId: z.string().regex(/^[0-9a-f]{96}$/, '96 lower-case hex digits'),
  /** Changes with every launch of the guest; a new one starts the TD anew, with RTMR3 zero. */
  launchId: z.string().min(1).max(64).optional(),
});

export type TdDefinition = z.infer<typeof tdDefinitionSchema>;

/** Parses a request body. Throws RequestRefusedError naming the first wrong field. */
export function parseBody<S extends z.ZodType>(schema: S, body: unknown): z.infer<S> {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const field = issue === undefined || issue.path.length === 0 ? 'body' : issue.path.join('.');
  throw new RequestRefusedError(400, 'body-invalid', `${field}: ${issue?.message ?? 'invalid'}`);
}

/** The machine a vm_config describes. Throws RequestRefusedError. */
export function machineOf(definition: TdDefinition): ProcessVmConfig {
  const reading = readProcessVmConfig(definition.vmConfig);
  if (!reading.ok) throw new RequestRefusedError(400, 'vm-config-invalid', reading.reason);
  return reading.config;
}
