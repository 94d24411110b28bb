import { describe, expect, it } from 'vitest';
import { readControlApiConfig } from './control-api-config.js';

const complete = {
  NATS_URL: 'nats://127.0.0.1:4222',
  VOUCH_NATS_SEED_FILE: 'seed',
  VOUCH_TRUST_FILE: 'trust.json',
  CONTROL_API_LISTEN: '127.0.0.1:7080',
  DATABASE_URL: 'postgresql://reader:secret@127.0.0.1/vouch',
  VOUCH_API_TOKENS_FILE: 'tokens.json',
  JOBS_DATABASE_URL: 'postgresql://jobs:secret@127.0.0.1/jobs',
};

describe('settings of control-api', () => {
  it('default to jobs on Postgres, five minutes and production', () => {
    expect(readControlApiConfig(complete)).toMatchObject({
      jobs: { backend: 'postgres' },
      operationDeadlineMs: 300_000,
      mode: 'production',
    });
  });
  it.each([
    [{ DATABASE_URL: '' }, /DATABASE_URL: is required/],
    [{ DATABASE_URL: 'mysql://x' }, /DATABASE_URL: must be a postgresql/],
    [{ JOBS_DATABASE_URL: '' }, /JOBS_DATABASE_URL: is required with JOBS_BACKEND=postgres/],
    [{ JOBS_BACKEND: 'redis' }, /REDIS_URL: is required with JOBS_BACKEND=redis/],
    [{ JOBS_BACKEND: 'kafka' }, /JOBS_BACKEND/],
    [{ OPERATION_DEADLINE_SECONDS: '0' }, /OPERATION_DEADLINE_SECONDS/],
    [{ VOUCH_UNSAFE_ANYTHING: '1' }, /VOUCH_UNSAFE_ANYTHING: weakens/],
  ])('%j is refused by name', (change, message) => {
    expect(() => readControlApiConfig({ ...complete, ...change })).toThrow(message);
  });
  it('a refusal repeats no value: it may be a secret', () => {
    expect(() => readControlApiConfig({ ...complete, DATABASE_URL: 'mysql://u:hunter2@x' })).not.toThrow(/hunter2/);
  });
});
