import { z } from 'zod';
import type { FieldError } from '../decision.js';
import { type ComposeHash, composeHashOf } from '../ids.js';
import { readComposeFile } from './compose-file.js';
import { duplicateKey } from './duplicate-key.js';

/** Largest app-compose, in UTF-8 bytes. */
export const MAX_APP_COMPOSE_BYTES = 128 * 1024;

/** What the control plane reads out of an app-compose. The text itself, byte for byte, is what is hashed and deployed. */
export interface AppCompose {
  readonly composeHash: ComposeHash;
  readonly manifestVersion: number;
  readonly name: string;
  readonly runner: 'docker-compose' | 'nerdctl-compose' | 'bash';
  readonly keyProvider: 'none' | 'kms';
  /** TCP ports the compose file publishes; for a bash app those its `port_policy` lists. */
  readonly ports: readonly number[];
}

export type AppComposeResult =
  | { readonly ok: true; readonly compose: AppCompose }
  | {
      readonly ok: false;
      readonly code: 'compose-too-large' | 'compose-malformed' | 'compose-invalid';
      readonly errors: readonly FieldError[];
    };

/** With the u flag, only a surrogate without its other half matches. */
const LONE_SURROGATE = /\p{Surrogate}/u;

const bool = z.boolean().optional();

/** app-compose.json as dstack's guest reads it; unknown top-level keys are ignored there but are part of the hash. */
const appComposeSchema = z.looseObject({
  manifest_version: z.union(
    [
      z.literal(1),
      z.literal(2),
      z.literal('1').transform(() => 1),
      z.literal('2').transform(() => 2),
      z.literal('3').transform(() => 3),
    ],
    { error: 'must be 1 or 2, or the string "3"' },
  ),
  name: z.string({ error: 'must be a string' }).min(1, 'must not be empty').max(64, 'must have at most 64 characters'),
  runner: z.enum(['docker-compose', 'nerdctl-compose', 'bash'], {
    error: 'must be "docker-compose", "nerdctl-compose" or "bash"',
  }),
  docker_compose_file: z.string().optional(),
  bash_script: z.string().optional(),
  pre_launch_script: z.string().optional(),
  init_script: z.union([z.string(), z.array(z.string()).max(5)]).optional(),
  snapshotter: z.enum(['overlayfs', 'stargz']).optional(),
  features: z.array(z.string()).optional(),
  public_logs: bool,
  public_sysinfo: bool,
  public_tcbinfo: bool,
  kms_enabled: bool,
  gateway_enabled: bool,
  tproxy_enabled: bool,
  local_key_provider_enabled: bool,
  key_provider: z
    .enum(['none', 'kms', 'local', 'tpm'], { error: 'must be "kms", "none", "local" or "tpm"' })
    .optional(),
  key_provider_id: z
    .string()
    .regex(/^([0-9a-fA-F]{2})*$/, 'must be hex')
    .optional(),
  allowed_envs: z
    .array(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be an environment variable name'))
    .optional(),
  no_instance_id: bool,
  secure_time: bool,
  storage_fs: z.enum(['zfs', 'ext4']).optional(),
  swap_size: z.union([z.string(), z.number().int().nonnegative()]).optional(),
  event_log_version: z.union([z.literal(1), z.literal(2)]).optional(),
  port_policy: z
    .looseObject({
      restrict_mode: bool,
      ports: z.array(z.looseObject({ port: z.number().int().min(1).max(65_535), pp: bool })).optional(),
    })
    .optional(),
  requirements: z
    .strictObject({
      os_version: z.string().optional(),
      platforms: z.array(z.string()).optional(),
      tdx_measure_acpi_tables: bool,
      launch_token_hash: z
        .string()
        .regex(/^[0-9a-fA-F]{64}$/, 'must be 64 hex digits')
        .optional(),
      gpu_policy: z.record(z.string(), z.unknown()).optional(),
      health_check: z.unknown().optional(),
      health_status_file: z.string().startsWith('/', 'must be an absolute path').optional(),
    })
    .optional(),
});

type Parsed = z.infer<typeof appComposeSchema>;

/**
 * Checks the exact text of an app-compose.json (dstack guest, `AppCompose`). `field` prefixes the error paths. The text
 * must survive UTF-8 unchanged, since compose_hash is taken over its bytes.
 */
export function readAppCompose(text: string, field = 'appCompose'): AppComposeResult {
  const fail = (code: 'compose-too-large' | 'compose-malformed', message: string): AppComposeResult => ({
    ok: false,
    code,
    errors: [{ field, message }],
  });
  const bytes = new TextEncoder().encode(text);
  if (bytes.length > MAX_APP_COMPOSE_BYTES) {
    return fail('compose-too-large', `is ${bytes.length} bytes; the limit is ${MAX_APP_COMPOSE_BYTES} bytes`);
  }
  if (LONE_SURROGATE.test(text)) {
    return fail('compose-malformed', 'contains half a surrogate pair, which UTF-8 cannot carry unchanged');
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    return fail('compose-malformed', `is not JSON: ${error instanceof Error ? error.message : 'unknown cause'}`);
  }
  const twice = duplicateKey(text);
  if (twice !== undefined) return fail('compose-malformed', `has the key "${twice}" twice`);
  const parsed = appComposeSchema.safeParse(json);
  if (!parsed.success) {
    const errors = parsed.error.issues.map((issue) => ({
      field: [field, ...issue.path.map(String)].join('.'),
      message: issue.message,
    }));
    return { ok: false, code: 'compose-invalid', errors };
  }
  return readParsed(parsed.data, composeHashOf(bytes), field);
}

function readParsed(app: Parsed, composeHash: ComposeHash, field: string): AppComposeResult {
  const errors = [...versionErrors(app, field), ...runnerErrors(app, field), ...keyProviderErrors(app, field)];
  let ports: readonly number[] = [];
  if (app.runner !== 'bash' && app.docker_compose_file !== undefined) {
    const file = readComposeFile(app.docker_compose_file, `${field}.docker_compose_file`);
    if (file.ok) ports = file.ports;
    else errors.push(...file.errors);
  } else if (app.runner === 'bash') {
    const listed = app.port_policy?.ports?.map(({ port }) => port) ?? [];
    ports = [...new Set(listed)].sort((a, b) => a - b);
  }
  if (errors.length > 0) return { ok: false, code: 'compose-invalid', errors };
  const { name, runner } = app;
  const keyProvider = keyProviderOf(app) === 'kms' ? 'kms' : 'none';
  return {
    ok: true,
    compose: { composeHash, manifestVersion: app.manifest_version, name, runner, keyProvider, ports },
  };
}

function versionErrors(app: Parsed, field: string): FieldError[] {
  if (app.manifest_version >= 3) return [];
  const errors: FieldError[] = [];
  const needs = 'needs manifest_version "3"';
  if (app.runner === 'nerdctl-compose')
    errors.push({ field: `${field}.runner`, message: `"nerdctl-compose" ${needs}` });
  if (app.requirements !== undefined) errors.push({ field: `${field}.requirements`, message: needs });
  if (Array.isArray(app.init_script) && app.init_script.length > 1) {
    errors.push({ field: `${field}.init_script`, message: `more than one script ${needs}` });
  }
  return errors;
}

function runnerErrors(app: Parsed, field: string): FieldError[] {
  const errors: FieldError[] = [];
  if (app.runner === 'bash') {
    if ((app.bash_script ?? '').trim() === '') {
      errors.push({ field: `${field}.bash_script`, message: 'is required by runner "bash"' });
    }
  } else if ((app.docker_compose_file ?? '').trim() === '') {
    errors.push({ field: `${field}.docker_compose_file`, message: `is required by runner "${app.runner}"` });
  }
  if (app.snapshotter !== undefined && app.runner !== 'nerdctl-compose') {
    errors.push({ field: `${field}.snapshotter`, message: 'is only for runner "nerdctl-compose"' });
  }
  return errors;
}

/** `key_provider` overrides the two older booleans (dstack-types `AppCompose::key_provider`). */
function keyProviderOf(app: Parsed): 'none' | 'kms' | 'local' | 'tpm' {
  if (app.key_provider !== undefined) return app.key_provider;
  if (app.kms_enabled === true) return 'kms';
  return app.local_key_provider_enabled === true ? 'local' : 'none';
}

function keyProviderErrors(app: Parsed, field: string): FieldError[] {
  const provider = keyProviderOf(app);
  if (provider !== 'local' && provider !== 'tpm') return [];
  const at = app.key_provider === undefined ? 'local_key_provider_enabled' : 'key_provider';
  return [{ field: `${field}.${at}`, message: `"${provider}" is not served by this control plane; use "kms"` }];
}
