import { ConfigError, readConfig } from '@vouch/platform';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  checkPolicySettings,
  policyBlock,
  policyMaxAgeSeconds,
  policySettings,
  policySource,
  policyWeakenings,
} from './policy-settings.js';

const schema = z.object({ ...policySettings, VOUCH_MODE: z.string().default('production') });
const read = (env: Record<string, string>) => {
  const config = readConfig(schema, { VOUCH_MODE: 'development', ...env });
  checkPolicySettings(config);
  return config;
};
const CONTRACT = { ETH_RPC_URL: 'http://127.0.0.1:8545', KMS_CONTRACT_ADDR: `0x${'D5'.repeat(20)}` };

describe('the settings of policy', () => {
  it('mean a contract unless they say otherwise', () => {
    const config = read(CONTRACT);
    expect(config).toMatchObject({ KMS_POLICY: 'contract', KMS_CONTRACT_ADDR: 'd5'.repeat(20) });
    expect([policyBlock(config), policyMaxAgeSeconds(config), policyWeakenings(config)]).toEqual(['latest', 300, []]);
    expect(policySource(config, () => new Date()).kind).toBe('contract');
  });

  it('read a finalised block in production, and let it be as old as finality is', () => {
    const config = read({ ...CONTRACT, VOUCH_MODE: 'production', ETH_CHAIN_ID: '1' });
    expect([policyBlock(config), policyMaxAgeSeconds(config)]).toEqual(['finalized', 3600]);
    expect(policyMaxAgeSeconds(read({ ...CONTRACT, POLICY_MAX_AGE_SECONDS: '60' }))).toBe(60);
    expect(policyBlock(read({ ...CONTRACT, KMS_POLICY_BLOCK: 'safe' }))).toBe('safe');
  });

  it('let a file be of any age unless they set one, and an answer of 300 s', () => {
    const file = { KMS_POLICY: 'file', KMS_POLICY_FILE: '/etc/vouch/policy.json' };
    expect(policyMaxAgeSeconds(read(file))).toBe(null);
    expect(policyMaxAgeSeconds(read({ ...file, POLICY_MAX_AGE_SECONDS: '86400' }))).toBe(86_400);
    expect(policySource(read(file), () => new Date()).kind).toBe('file');
    const webhook = { KMS_POLICY: 'webhook', KMS_POLICY_URL: 'https://auth.example' };
    expect(policyMaxAgeSeconds(read(webhook))).toBe(300);
    expect(policySource(read(webhook), () => new Date()).kind).toBe('webhook');
  });

  it('name plain HTTP as a weakening in development, and refuse it in production', () => {
    const plain = { KMS_POLICY: 'webhook', KMS_POLICY_URL: 'HTTP://auth.example' };
    expect(policyWeakenings(read(plain))).toEqual(['unsafePlainHttpPolicy']);
    expect(() => read({ ...plain, VOUCH_MODE: 'production' })).toThrow(/KMS_POLICY_URL: must be https/);
    expect(policyWeakenings(read({ ...plain, KMS_POLICY_URL: 'https://auth.example' }))).toEqual([]);
  });

  it.each([
    [{}, /ETH_RPC_URL: is required[\s\S]*KMS_CONTRACT_ADDR: is required/],
    [{ KMS_POLICY: 'file' }, /KMS_POLICY_FILE: is required/],
    [{ KMS_POLICY: 'webhook' }, /KMS_POLICY_URL: is required/],
    [{ KMS_POLICY: 'mock' }, /KMS_POLICY/],
    [{ ...CONTRACT, KMS_CONTRACT_ADDR: '0xbeef' }, /KMS_CONTRACT_ADDR/],
    [{ ...CONTRACT, VOUCH_MODE: 'production' }, /ETH_CHAIN_ID: is required/],
    [{ ...CONTRACT, KMS_POLICY_BLOCK: 'pending' }, /KMS_POLICY_BLOCK/],
    [{ KMS_POLICY: 'webhook', KMS_POLICY_URL: 'ftp://auth.example' }, /KMS_POLICY_URL/],
  ])('refuse %j', (env, reason) => {
    expect(() => read(env)).toThrow(ConfigError);
    expect(() => read(env)).toThrow(reason);
  });
});
