import { ConfigError } from '@vouch/platform';
import { describe, expect, it } from 'vitest';
import { adminTokenHash } from './dstack-wire.js';
import { readWireSettings, wireWeakenings } from './wire-settings.js';

const UNSAFE = { KMS_RPC_LISTEN: '127.0.0.1:8000', VOUCH_UNSAFE_ROOT_KEY_RELEASE: 'true' };

describe('the settings of the dstack wire', () => {
  it('keep it shut unless they say where it listens', () => {
    expect(readWireSettings({}).KMS_RPC_LISTEN).toBeUndefined();
    expect(wireWeakenings(readWireSettings({}))).toEqual([]);
    const open = readWireSettings({ KMS_RPC_LISTEN: '[::1]:8000' });
    expect([open.KMS_RPC_LISTEN, wireWeakenings(open)]).toEqual([{ host: '::1', port: 8000 }, []]);
    expect(() => readWireSettings({ KMS_RPC_LISTEN: '8000' })).toThrow(/KMS_RPC_LISTEN: must be host:port/);
  });

  it('name the release of root keys as a weakening, and refuse it in production', () => {
    expect(wireWeakenings(readWireSettings({ ...UNSAFE, VOUCH_MODE: 'development' }))).toEqual([
      'unsafeRootKeyRelease',
    ]);
    for (const VOUCH_MODE of ['production', undefined]) {
      expect(() => readWireSettings({ ...UNSAFE, VOUCH_MODE })).toThrow(ConfigError);
    }
    const unclear = { ...UNSAFE, VOUCH_MODE: 'development', VOUCH_UNSAFE_ROOT_KEY_RELEASE: 'false' };
    expect(() => readWireSettings(unclear)).toThrow(/can only be true/);
  });

  it('take no short administrator token', () => {
    expect(adminTokenHash('sixteen letters!\n')).toHaveLength(32);
    expect(() => adminTokenHash('fifteen letters\n')).toThrow(/at least 16/);
  });
});
