import { createPublicKey, verify, X509Certificate } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AsnConvert } from '@peculiar/asn1-schema';
import { CertificateList } from '@peculiar/asn1-x509';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SimulatedPlatform } from '../defects/simulated-platform.js';
import { loadOrCreatePki, PkiCorruptError, type PlatformPki } from '../pki/platform-pki.js';
import { CollateralSource } from './collateral-source.js';

const START = new Date('2026-03-01T12:00:00Z');
const HOUR = 3_600_000;
let dataDir: string;
let pki: PlatformPki;
let now: Date;

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'vouch-collateral-'));
  now = START;
  pki = await loadOrCreatePki(dataDir, now);
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

function source(of: PlatformPki = pki): CollateralSource {
  return new CollateralSource(new SimulatedPlatform(of, dataDir, () => now), dataDir, () => now);
}

function advance(hours: number): void {
  now = new Date(now.getTime() + hours * HOUR);
}

function windowOf(document: string): { issueDate: string; nextUpdate: string } {
  return JSON.parse(document).tcbInfo;
}

describe('collateral', () => {
  it('is signed over the exact inner text, and not over another', async () => {
    const {
      tdx: { tcbInfo },
    } = await source().current();
    const { signature } = JSON.parse(tcbInfo) as { signature: string };
    const inner = tcbInfo.slice('{"tcbInfo":'.length, tcbInfo.indexOf(',"signature"'));
    const key = { key: new X509Certificate(pki.tcbSigningPem).publicKey, dsaEncoding: 'ieee-p1363' } as const;
    expect(verify('sha256', Buffer.from(inner), key, Buffer.from(signature, 'hex'))).toBe(true);
    expect(verify('sha256', Buffer.from(`${inner} `), key, Buffer.from(signature, 'hex'))).toBe(false);
  });

  it('has CRLs signed by the CA they name, and by no other', async () => {
    const current = await source().current();
    for (const [der, own, other] of [
      [current.rootCrl, pki.root, pki.platformCa],
      [current.platformCrl, pki.platformCa, pki.processorCa],
      [current.processorCrl, pki.processorCa, pki.root],
    ] as const) {
      const crl = AsnConvert.parse(new Uint8Array(der).buffer, CertificateList);
      const signed = new Uint8Array(AsnConvert.serialize(crl.tbsCertList));
      const check = (signer: PlatformPki['root']) =>
        verify('sha256', signed, createPublicKey(signer.privateKey), new Uint8Array(crl.signature));
      expect([check(own), check(other)]).toEqual([true, false]);
    }
  });

  it('stays the same within a day and through a restart, and is signed again after it', async () => {
    const first = source();
    const before = await first.current();
    advance(23);
    expect(await first.current()).toEqual(before);
    expect(await source().current()).toEqual(before);
    advance(2);
    const after = await first.current();
    expect(Date.parse(windowOf(after.tdx.tcbInfo).issueDate)).toBeGreaterThan(
      Date.parse(windowOf(before.tdx.tcbInfo).issueDate),
    );
    expect(Date.parse(windowOf(after.tdx.tcbInfo).nextUpdate) - now.getTime()).toBeGreaterThan(29 * 24 * HOUR);
    expect(await source().current()).toEqual(after);
  });

  it('is signed once when many ask at the moment it became stale', async () => {
    const shared = source();
    const answers = await Promise.all(Array.from({ length: 8 }, () => shared.current()));
    expect(new Set(answers.map(({ tdx }) => tdx.tcbInfo)).size).toBe(1);
  });

  it('of another PKI is not served', async () => {
    const before = await source().current();
    const elsewhere = await mkdtemp(join(tmpdir(), 'vouch-collateral-'));
    const foreign = await loadOrCreatePki(elsewhere, now);
    await rm(elsewhere, { recursive: true });
    expect((await source(foreign).current()).tdx.tcbInfo).not.toBe(before.tdx.tcbInfo);
  });
});

describe('the PKI', () => {
  it('is the same after a restart, and certificates chain to its root', async () => {
    const again = await loadOrCreatePki(dataDir, now);
    expect(again.rootPem).toBe(pki.rootPem);
    const root = new X509Certificate(pki.rootPem);
    const platformCa = new X509Certificate(pki.platformCaPem);
    const pck = new X509Certificate(pki.pckPem);
    expect(platformCa.checkIssued(root) && platformCa.verify(root.publicKey)).toBe(true);
    expect(pck.checkIssued(platformCa) && pck.verify(platformCa.publicKey)).toBe(true);
    expect(pck.verify(root.publicKey)).toBe(false);
    expect(new X509Certificate(pki.tcbSigningPem).verify(root.publicKey)).toBe(true);
  });

  it('that is damaged is refused, never replaced, and never quoted', async () => {
    await writeFile(join(dataDir, 'pki.json'), '{"version":1,"keys":"SECRET');
    const error = await loadOrCreatePki(dataDir, now).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(PkiCorruptError);
    expect(JSON.stringify(error) + String(error)).not.toContain('SECRET');
  });
});
