import { z } from 'zod';
import { AgentFailure } from '../agent-failure.js';

/**
 * The fields of app-compose.json this agent acts on (dstack-guest §8). Unknown fields are part of the compose hash and
 * otherwise ignored, as dstack does; fields that would change how the guest boots and are not built yet are refused, since
 * an ignored requirement would look like a kept one.
 */
const schema = z.looseObject({
  manifest_version: z.union([z.literal(1), z.literal(2), z.literal('1'), z.literal('2')]),
  name: z.string().min(1).max(64),
  runner: z.enum(['bash', 'docker-compose']),
  bash_script: z.string().optional(),
  docker_compose_file: z.string().optional(),
  pre_launch_script: z.string().optional(),
  allowed_envs: z.array(z.string()).default([]),
  key_provider: z.enum(['kms', 'none', 'local', 'tpm']).default('kms'),
  local_key_provider_enabled: z.boolean().default(false),
  /** Hex of the root CA SubjectPublicKeyInfo; empty accepts the root of the trust file. */
  key_provider_id: z
    .string()
    .transform((text) => text.replace(/^0x/, '').toLowerCase())
    .pipe(z.string().regex(/^([0-9a-f]{2})*$/, 'hex'))
    .default(''),
  no_instance_id: z.boolean().default(false),
  event_log_version: z.literal(1, 'only event log version 1 is supported').default(1),
});

const UNSUPPORTED = ['init_script', 'requirements', 'verity_volumes', 'snapshotter'] as const;

export type AppCompose = z.infer<typeof schema>;

/** Parses the exact bytes of app-compose.json. Throws AgentFailure naming the field. */
export function readAppCompose(bytes: Uint8Array): AppCompose {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new AgentFailure('app-compose-invalid', 'app-compose.json is not UTF-8 JSON', false, { cause });
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success) {
    throw new AgentFailure('app-compose-invalid', `app-compose.json: ${z.prettifyError(parsed.error)}`);
  }
  const compose = parsed.data;
  const field = UNSUPPORTED.find((name) => isGiven(compose[name]));
  if (field !== undefined) throw unsupported(`"${field}" is not supported by this agent`);
  if (compose.no_instance_id) throw unsupported('"no_instance_id" is not supported: every instance has an id');
  if (compose.key_provider !== 'kms' || compose.local_key_provider_enabled) {
    throw unsupported('the only supported key provider is "kms"');
  }
  const script = compose.runner === 'bash' ? 'bash_script' : 'docker_compose_file';
  if (!isGiven(compose[script])) {
    throw new AgentFailure('app-compose-invalid', `app-compose.json: runner ${compose.runner} needs "${script}"`);
  }
  return compose;
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null && value !== '';
}

function unsupported(message: string): AgentFailure {
  return new AgentFailure('app-compose-unsupported', `app-compose.json: ${message}`);
}
