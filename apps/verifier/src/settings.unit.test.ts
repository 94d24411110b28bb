import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { INTEL_PCS, INTEL_SGX_ROOT } from '@vouch/attestation';
import { afterAll, describe, expect, it } from 'vitest';
import { readSettings, SettingsInvalidError } from './settings.js';

const folder = mkdtempSync(join(tmpdir(), 'vouch-verifier-'));
const file = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('readSettings', () => {
  it('is strict, local and asks Intel by default', () => {
    expect(readSettings({})).toEqual({
      host: '127.0.0.1',
      port: 8080,
      endpoints: [INTEL_PCS],
      bundle: undefined,
      cacheFolder: undefined,
      imageUrl: undefined,
      policy: {},
      trustAnchors: [INTEL_SGX_ROOT],
      maxBodyBytes: 4 * 1024 * 1024,
    });
  });

  it('takes several endpoints with their roots, and a policy file', () => {
    const settings = readSettings({
      VERIFIER_LISTEN: '[::1]:9000',
      VERIFIER_PCCS_URL: 'https://pccs.example, intel',
      VERIFIER_PCCS_TLS_ROOTS_FILE: file('roots.pem', 'PEM'),
      VERIFIER_POLICY_FILE: file('policy.json', '{"unsafeAcceptedStatuses":["SWHardeningNeeded"]}'),
    });
    expect(settings).toMatchObject({
      host: '::1',
      port: 9000,
      policy: { unsafeAcceptedStatuses: ['SWHardeningNeeded'] },
    });
    expect(settings.endpoints).toEqual([{ url: 'https://pccs.example', tlsRootsPem: 'PEM' }, INTEL_PCS]);
  });

  it.each<[string, Record<string, string>]>([
    ['VERIFIER_LISTEN', { VERIFIER_LISTEN: '8080' }],
    ['VERIFIER_LISTEN', { VERIFIER_LISTEN: 'localhost:99999' }],
    ['VERIFIER_MAX_BODY_BYTES', { VERIFIER_MAX_BODY_BYTES: '1' }],
    ['VERIFIER_POLICY_FILE', { VERIFIER_POLICY_FILE: file('bad.json', '{"unsafeEverything":true}') }],
    ['VERIFIER_POLICY_FILE', { VERIFIER_POLICY_FILE: file('weak.json', '{"unsafeDebugAccepted":true}') }],
    ['VERIFIER_POLICY_FILE', { VERIFIER_POLICY_FILE: join(folder, 'missing.json') }],
    ['VERIFIER_COLLATERAL_BUNDLE_FILE', { VERIFIER_COLLATERAL_BUNDLE_FILE: file('bundle.json', '{}') }],
    ['VERIFIER_UNSAFE_TRUST_ANCHOR_FILE', { VERIFIER_UNSAFE_TRUST_ANCHOR_FILE: file('root.pem', 'x') }],
    ['VERIFIER_UNSAFE_PLAIN_HTTP', { VERIFIER_UNSAFE_PLAIN_HTTP: 'true' }],
    ['VERIFIER_UNSAFE_PLAIN_HTTP', { VERIFIER_UNSAFE_PLAIN_HTTP: 'yes', VOUCH_MODE: 'development' }],
  ])('refuses a wrong %s by name', (name, environment) => {
    expect(() => readSettings(environment)).toThrow(SettingsInvalidError);
    expect(() => readSettings(environment)).toThrow(name);
  });

  it('takes weakenings in development only', () => {
    const environment = { VERIFIER_POLICY_FILE: file('weak.json', '{"unsafeDebugAccepted":true}') };
    expect(readSettings({ ...environment, VOUCH_MODE: 'development' }).policy).toEqual({ unsafeDebugAccepted: true });
    expect(() => readSettings({ ...environment, VOUCH_MODE: 'production' })).toThrow(/development only/);
  });
});
