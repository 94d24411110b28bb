import { z } from 'zod';
import { ConfigError } from './config-error.js';

const UNSAFE_PREFIX = 'VOUCH_UNSAFE_';

/**
 * Reads settings from environment variables: `schema` is an object whose keys are variable names. An empty variable
 * counts as absent. Throws ConfigError naming every variable that is wrong (its value is not repeated: it may be a
 * secret). With VOUCH_MODE=production, any VOUCH_UNSAFE_… variable is refused, known to the schema or not.
 */
export function readConfig<S extends z.ZodObject>(schema: S, env: NodeJS.ProcessEnv = process.env): z.infer<S> {
  const present = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''));
  const problems: string[] = [];
  if (isProduction(present)) {
    for (const name of Object.keys(present).filter((key) => key.startsWith(UNSAFE_PREFIX))) {
      problems.push(`${name}: weakens security and is refused with VOUCH_MODE=production; unset it`);
    }
  }
  const known = Object.fromEntries(Object.keys(schema.shape).map((name) => [name, present[name]]));
  const parsed = schema.safeParse(known);
  if (!parsed.success) {
    for (const issue of parsed.error.issues) {
      const name = String(issue.path[0] ?? 'environment');
      problems.push(`${name}: ${known[name] === undefined ? 'is required but not set' : issue.message}`);
    }
  }
  if (!parsed.success || problems.length > 0) throw new ConfigError(problems);
  return parsed.data;
}

/** Production is the default: only an explicit VOUCH_MODE=development loosens anything. */
function isProduction(env: NodeJS.ProcessEnv): boolean {
  return env.VOUCH_MODE !== 'development';
}

/** `host:port`; an IPv6 host stands in brackets. */
export const listenAddress = z
  .string()
  .regex(/^(\[[0-9a-fA-F:]+\]|[^:[\]]+):\d{1,5}$/, 'must be host:port')
  .transform((text) => {
    const at = text.lastIndexOf(':');
    return { host: text.slice(0, at).replace(/^\[|\]$/g, ''), port: Number(text.slice(at + 1)) };
  })
  .refine(({ port }) => port <= 65_535, 'the port must be at most 65535');

export type ListenAddress = z.infer<typeof listenAddress>;
