import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseQuote } from '@vouch/attestation';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { CollateralSource } from '../collateral/collateral-source.js';
import { loadOrCreatePki, type PlatformPki } from '../pki/platform-pki.js';
import type { TdMeasurements } from '../quote/td-report.js';
import { PlatformStateCorruptError, SimulatedPlatform } from './simulated-platform.js';

const now = new Date('2026-03-01T12:00:00Z');
const register = new Uint8Array(48);
const td: TdMeasurements = {
  mrTd: register,
  mrConfigId: register,
  rtMr0: register,
  rtMr1: register,
  rtMr2: register,
  rtMr3: register,
  reportData: new Uint8Array(64).fill(7),
};

let dataDir: string;
let pki: PlatformPki;

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'vouch-platform-'));
  pki = await loadOrCreatePki(dataDir, now);
});

afterEach(() => rm(dataDir, { recursive: true, force: true }));

function platform(): SimulatedPlatform {
  return new SimulatedPlatform(pki, dataDir, () => now);
}

it('the library makes quotes and collateral of a state, without a server', async () => {
  const broken = platform();
  await broken.set({ quoteVersion: 5, tcbStatus: 'OutOfDate', revoked: ['pck'] });
  expect(parseQuote(broken.quote(td))).toMatchObject({ ok: true, quote: { header: { version: 5 } } });
  const source = new CollateralSource(broken, dataDir, () => now);
  const collateral = await source.current();
  expect(JSON.parse(collateral.tdx.tcbInfo).tcbInfo.tcbLevels[0].tcbStatus).toBe('OutOfDate');
  expect(await source.current()).toBe(collateral);
  const healthy = new CollateralSource(platform(), dataDir, () => now);
  expect((await healthy.current()).platformCrl.length).toBeLessThan(collateral.platformCrl.length);
});

it('a stored state is taken up, and a damaged one is never taken for a healthy platform', async () => {
  await platform().set({ debug: true });
  const again = platform();
  expect(again.state).toEqual({});
  await again.restore();
  expect(again.state).toEqual({ debug: true });
  for (const text of ['{', '{"debug":false}', '[]']) {
    await writeFile(join(dataDir, 'platform.json'), text);
    await expect(platform().restore()).rejects.toThrow(PlatformStateCorruptError);
  }
  await rm(join(dataDir, 'platform.json'));
  await expect(platform().restore()).resolves.toBeUndefined();
});
