import { describe, expect, it } from 'vitest';
import { readSettings, SettingsInvalidError } from './settings.js';

const environment = {
  SIMULATOR_DATA_DIR: '/var/lib/sim',
  SIMULATOR_ADMIN_SOCKET: '/run/sim.sock',
  SIMULATOR_PCCS_LISTEN: '[::1]:8081',
};

describe('settings', () => {
  it('are read from the environment', () => {
    expect(readSettings(environment)).toEqual({
      dataDir: '/var/lib/sim',
      adminSocket: '/run/sim.sock',
      pccsHost: '::1',
      pccsPort: 8081,
      unsafeDefects: false,
    });
    expect(readSettings({ ...environment, SIMULATOR_UNSAFE_DEFECTS: '1' }).unsafeDefects).toBe(true);
  });

  it.each([
    ['SIMULATOR_DATA_DIR', undefined],
    ['SIMULATOR_DATA_DIR', 'relative'],
    ['SIMULATOR_ADMIN_SOCKET', `/${'x'.repeat(108)}`],
    ['SIMULATOR_PCCS_LISTEN', '8081'],
    ['SIMULATOR_PCCS_LISTEN', 'localhost:99999'],
    ['SIMULATOR_UNSAFE_DEFECTS', 'true'],
  ])('name %s when it is %j', (name, value) => {
    const read = () => readSettings({ ...environment, [name]: value });
    expect(read).toThrow(SettingsInvalidError);
    expect(read).toThrow(name);
  });
});
