import { type AppId, composeHashOf, instanceIdOf } from '@vouch/domain';
import { describe, expect, test } from 'vitest';
import { readHostConfig } from '../config/host-config.js';
import { readDesiredGuest } from './desired-guests.js';

const seed = 'd'.repeat(40);
const appId = 'b'.repeat(40) as AppId;
const instanceId = instanceIdOf(seed, appId);
const appCompose = '{"name":"x"}';
const entry = {
  instanceId,
  appId,
  releaseId: 'c'.repeat(32),
  epoch: 1,
  desired: 'running',
  appCompose,
  composeHash: composeHashOf(Buffer.from(appCompose)),
  seed,
  address: '127.0.1.2',
  ports: [80],
  resources: { vcpu: 1, memoryMiB: 512, diskGiB: 1 },
  encryptedEnv: '',
};

describe('a desired entry', () => {
  test('is taken when everything in it agrees', () => {
    expect(readDesiredGuest(instanceId, JSON.stringify(entry))).toEqual({ ok: true, guest: entry });
  });

  test.each([
    ['no JSON', '{'],
    ['an unknown wish', JSON.stringify({ ...entry, desired: 'paused' })],
    ['an unknown field', JSON.stringify({ ...entry, privileged: true })],
    ['a compose hash of other bytes', JSON.stringify({ ...entry, appCompose: `${appCompose} ` })],
    ['an instance id of another seed', JSON.stringify({ ...entry, seed: 'e'.repeat(40) })],
    ['the id of another key', JSON.stringify({ ...entry, instanceId: 'a'.repeat(40) })],
  ])('with %s is refused', (_name, text) => {
    expect(readDesiredGuest(instanceId, text).ok).toBe(false);
  });
});

describe('settings', () => {
  const env = {
    VOUCH_NODE: 'host-1',
    HOST_DATA_DIR: '/tmp/x',
    HOST_DRIVER: 'process',
    SIMULATOR_ADMIN_SOCKET: '/tmp/s',
    GUEST_AGENT_ENTRY: '/tmp/main.js',
    HOST_VCPU: '4',
    HOST_MEMORY_MIB: '4096',
  };

  test('process guests are for development only', () => {
    expect(readHostConfig({ ...env, VOUCH_MODE: 'development' })).toMatchObject({ HOST_VCPU: 4 });
    expect(() => readHostConfig({ ...env, VOUCH_MODE: 'production' })).toThrow(/unsafeProcessGuest/);
    expect(() => readHostConfig(env)).toThrow(/HOST_DRIVER/);
  });

  test('a missing or senseless number is named', () => {
    expect(() => readHostConfig({ ...env, VOUCH_MODE: 'development', HOST_VCPU: 'many' })).toThrow(/HOST_VCPU/);
  });
});
