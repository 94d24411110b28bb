import { ConfigError, commonConfigSchema, listenAddress, readConfig } from '@vouch/platform';
import { z } from 'zod';

/** Settings of control-api besides the common ones. */
const controlApiConfigSchema = commonConfigSchema.extend({
  /** Address of the REST API. */
  CONTROL_API_LISTEN: listenAddress,
  /** Audit database, with a role that may only read. */
  DATABASE_URL: z.url({ protocol: /^postgres(ql)?$/, error: 'must be a postgresql:// URL' }),
  /** JSON array of {principal, tokenSha256, role}. */
  VOUCH_API_TOKENS_FILE: z.string(),
  JOBS_BACKEND: z.enum(['postgres', 'redis']).default('postgres'),
  JOBS_DATABASE_URL: z.url({ protocol: /^postgres(ql)?$/, error: 'must be a postgresql:// URL' }).optional(),
  REDIS_URL: z.url({ protocol: /^rediss?$/, error: 'must be a redis:// URL' }).optional(),
  /** Seconds after which an unfinished operation fails. */
  OPERATION_DEADLINE_SECONDS: z.coerce.number().int().min(1).max(86_400).default(300),
});

export interface ControlApiConfig {
  readonly listen: { readonly host: string; readonly port: number };
  readonly databaseUrl: string;
  readonly tokensFile: string;
  readonly jobs:
    | { readonly backend: 'postgres'; readonly databaseUrl: string }
    | { readonly backend: 'redis'; readonly url: string };
  readonly operationDeadlineMs: number;
  readonly mode: 'development' | 'production';
}

/** Reads the settings. Throws ConfigError naming each that is missing or wrong. */
export function readControlApiConfig(env: NodeJS.ProcessEnv = process.env): ControlApiConfig {
  const settings = readConfig(controlApiConfigSchema, env);
  return {
    listen: settings.CONTROL_API_LISTEN,
    databaseUrl: settings.DATABASE_URL,
    tokensFile: settings.VOUCH_API_TOKENS_FILE,
    jobs: jobsOf(settings),
    operationDeadlineMs: settings.OPERATION_DEADLINE_SECONDS * 1000,
    mode: settings.VOUCH_MODE,
  };
}

function jobsOf(settings: z.infer<typeof controlApiConfigSchema>): ControlApiConfig['jobs'] {
  if (settings.JOBS_BACKEND === 'redis') {
    if (settings.REDIS_URL === undefined) throw new ConfigError(['REDIS_URL: is required with JOBS_BACKEND=redis']);
    return { backend: 'redis', url: settings.REDIS_URL };
  }
  if (settings.JOBS_DATABASE_URL === undefined) {
    throw new ConfigError(['JOBS_DATABASE_URL: is required with JOBS_BACKEND=postgres']);
  }
  return { backend: 'postgres', databaseUrl: settings.JOBS_DATABASE_URL };
}
