import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
const vectors = resolve(process.env.VOUCH_VECTORS ?? join(root, '../shared/vectors'), 'quotes');
const bin = join(root, 'apps/cli/bin/vouch.mjs');

interface Case {
  readonly evidence: string;
  readonly collateral: string;
  /** Unix seconds. */
  readonly at: number;
}

/** Published evidence of real machines, with the time its collateral is of. */
const DSTACK: Case = {
  evidence: 'dstack-tdx/attestation.bin',
  collateral: 'dstack-tdx/collateral.json',
  at: 1776075890,
};
const TDX: Case = { evidence: 'tdx-v4/quote.bin', collateral: 'tdx-v4/collateral.json', at: 1751624191 };
const SGX: Case = { evidence: 'sgx-v3/quote.bin', collateral: 'sgx-v3/collateral.json', at: 1751624924 };

function verify({ evidence, collateral, at }: Case): Promise<{ code: number; report: Record<string, unknown> }> {
  const args = [
    'verify',
    join(vectors, evidence),
    '--collateral',
    join(vectors, collateral),
    '--at',
    String(at),
    '-o',
    'json',
  ];
  return new Promise((done, failed) => {
    execFile(
      process.execPath,
      [bin, ...args],
      { env: { ...process.env, XDG_CACHE_HOME: tmpdir() } },
      (error, out, err) => {
        if (out === '') failed(new Error(err));
        else
          done({ code: error === null ? 0 : Number(error.code), report: JSON.parse(out) as Record<string, unknown> });
      },
    );
  });
}

describe.skipIf(!existsSync(vectors))('vouch verify on published evidence (skipped: no vectors)', () => {
  it('accepts an attestation of a real dstack guest under Intel’s root and the strict policy, with its identity', async () => {
    const { code, report } = await verify(DSTACK);
    expect(report).toMatchObject({
      verdict: 'accepted',
      facts: {
        unsafe: [],
        tcbStatus: 'UpToDate',
        appId: '5bb4ff9a3837357f19dc176407a5709c62eb6c56',
        instanceId: '1691ed1b47506cad7d08834668691d88246f5b1f',
        keyProvider: { name: 'kms' },
      },
    });
    expect(code).toBe(0);
  });

  it('accepts a TDX quote; denies an SGX one, whose status is not UpToDate either', async () => {
    expect(await verify(TDX)).toMatchObject({ code: 0, report: { verdict: 'accepted' } });
    expect(await verify(SGX)).toMatchObject({
      code: 5,
      report: { verdict: 'denied', code: 'POLICY_TEE', facts: { tcbStatus: 'ConfigurationAndSWHardeningNeeded' } },
    });
  });

  it('refuses them at another time, and with the collateral of another platform', async () => {
    expect(await verify({ ...DSTACK, at: DSTACK.at + 40 * 86_400 })).toMatchObject({
      code: 2,
      report: { verdict: 'refused', code: 'COLLATERAL_EXPIRED' },
    });
    await expect(verify({ ...SGX, collateral: TDX.collateral })).rejects.toThrow(/NOT_IN_BUNDLE/);
  });
});
