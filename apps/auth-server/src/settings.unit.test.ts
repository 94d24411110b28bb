import { describe, expect, it } from 'vitest';
import { readSettings, SettingsInvalidError } from './settings.js';

const CONTRACT = { KMS_CONTRACT_ADDR: `0x${'D5'.repeat(20)}` };

describe('the settings of the authorisation server', () => {
  it("have dstack's names and defaults", () => {
    expect(readSettings(CONTRACT)).toMatchObject({
      host: '127.0.0.1',
      port: 8000,
      tls: undefined,
      backend: { kind: 'contract', rpcUrl: 'http://localhost:8545', contract: 'd5'.repeat(20), block: 'latest' },
    });
    expect(readSettings({ ...CONTRACT, ETH_FINALITY_CONFIRMATIONS: '12', ETH_CHAIN_ID: '1' }).backend).toMatchObject({
      block: { confirmations: 12 },
      chainId: 1,
    });
    expect(readSettings({ AUTH_BACKEND: 'file' }).backend).toEqual({ kind: 'file', path: './auth-config.json' });
  });

  it.each([
    [{}, /KMS_CONTRACT_ADDR: is required/],
    [{ KMS_CONTRACT_ADDR: '0xbeef' }, /KMS_CONTRACT_ADDR: must be a 20-byte address/],
    [{ ...CONTRACT, ETH_FINALITY_CONFIRMATIONS: '1', AUTH_POLICY_BLOCK: 'safe' }, /only one of them/],
    [{ ...CONTRACT, AUTH_BACKEND: 'mock' }, /AUTH_BACKEND/],
    [{ ...CONTRACT, PORT: '70000' }, /PORT/],
    [{ ...CONTRACT, AUTH_TLS_CERT_FILE: 'cert.pem' }, /one needs the other/],
  ])('refuse %j', (environment, reason) => {
    expect(() => readSettings(environment)).toThrow(SettingsInvalidError);
    expect(() => readSettings(environment)).toThrow(reason);
  });
});
