import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { commonConfigSchema } from './common-config.js';
import { ConfigError } from './config-error.js';
import { listenAddress, readConfig } from './read-config.js';

const schema = z.object({
  LISTEN: listenAddress,
  COUNT: z.coerce.number().int().default(3),
  SECRET: z.string().min(20),
});

function problemsOf(env: NodeJS.ProcessEnv): readonly string[] {
  try {
    readConfig(schema, env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

describe('readConfig', () => {
  test('reads, converts and applies defaults; other variables are left alone', () => {
    const env = { LISTEN: '127.0.0.1:80', SECRET: 'x'.repeat(20), OTHER: 'y', VOUCH_MODE: 'development' };
    expect(readConfig(schema, env)).toEqual({
      LISTEN: { host: '127.0.0.1', port: 80 },
      COUNT: 3,
      SECRET: 'x'.repeat(20),
    });
  });

  test('names every variable that is missing or wrong, and repeats no value', () => {
    const problems = problemsOf({ LISTEN: 'nowhere', SECRET: 'hunter2' });
    expect(problems).toHaveLength(2);
    expect(problems[0]).toMatch(/^LISTEN: must be host:port/);
    expect(problems[1]).toMatch(/^SECRET: /);
    expect(problems.join()).not.toContain('hunter2');
  });

  test('an empty variable counts as not set', () => {
    expect(problemsOf({ LISTEN: '', SECRET: 'x'.repeat(20) })).toEqual(['LISTEN: is required but not set']);
  });

  test.each(['production', '', undefined])('an unsafe setting is refused when VOUCH_MODE is %j', (mode) => {
    const env = { LISTEN: 'h:1', SECRET: 'x'.repeat(20), VOUCH_UNSAFE_ANYTHING: '1', VOUCH_MODE: mode };
    expect(problemsOf(env)).toEqual([expect.stringMatching(/^VOUCH_UNSAFE_ANYTHING: .*production/)]);
  });

  test('an unsafe setting is taken in development', () => {
    const env = { LISTEN: 'h:1', SECRET: 'x'.repeat(20), VOUCH_UNSAFE_ANYTHING: '1', VOUCH_MODE: 'development' };
    expect(problemsOf(env)).toEqual([]);
  });

  test('an IPv6 address stands in brackets, and a port is at most 65535', () => {
    expect(listenAddress.parse('[::1]:9')).toEqual({ host: '::1', port: 9 });
    expect(listenAddress.safeParse('h:65536').success).toBe(false);
    expect(listenAddress.safeParse('::1:9').success).toBe(false);
  });

  test('the common settings default to production and an empty node', () => {
    const env = { NATS_URL: 'nats://a, nats://b', VOUCH_NATS_SEED_FILE: '/s', VOUCH_TRUST_FILE: '/t' };
    const config = readConfig(commonConfigSchema, env);
    expect(config).toMatchObject({ NATS_URL: ['nats://a', 'nats://b'], VOUCH_MODE: 'production', VOUCH_NODE: '' });
  });
});
