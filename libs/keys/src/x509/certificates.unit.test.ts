import { X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { deriveAppCaKey, deriveTempCaKey } from '../app-keys.js';
import { generateP256 } from '../p256.js';
import { RootKeys } from '../root-keys.js';
import { mintAppCa, mintAppLeaf, mintKmsRpcLeaf, mintRootCa, mintTempCa, mintTempClient } from './app-certificates.js';
import { generateDevelopmentCa, mintServerCertificate } from './development-ca.js';

const NOW = new Date('2026-11-21T12:00:00Z');
const APP_ID = Buffer.alloc(20, 0x11);
const root = RootKeys.generate();
const appCaKey = deriveAppCaKey(root, APP_ID);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

describe('dstack certificate profile', () => {
  const rootCa = mintRootCa(root, NOW);
  const appCa = mintAppCa(root, appCaKey, APP_ID, NOW);
  const subject = generateP256();
  const leaf = mintAppLeaf({
    appCaKey,
    appId: APP_ID,
    publicKey: subject.spki,
    subject: 'hello',
    altNames: ['hello.example.org', '127.0.0.1', '::1'],
    usages: ['serverAuth', 'clientAuth'],
    now: NOW,
  });
  const parsed = [leaf, appCa, rootCa].map(({ der }) => new X509Certificate(der));

  it('chains leaf, app CA and root CA by name and signature', () => {
    const [leafCert, appCaCert, rootCert] = parsed;
    expect(leafCert?.checkIssued(appCaCert as X509Certificate)).toBe(true);
    expect(leafCert?.verify(appCaCert?.publicKey as never)).toBe(true);
    expect(appCaCert?.checkIssued(rootCert as X509Certificate)).toBe(true);
    expect(appCaCert?.verify(rootCert?.publicKey as never)).toBe(true);
    expect(rootCert?.verify(rootCert.publicKey)).toBe(true);
    expect(leafCert?.verify(rootCert?.publicKey as never)).toBe(false);
    expect([leafCert?.ca, appCaCert?.ca, rootCert?.ca]).toEqual([false, true, true]);
  });

  it('names, dates, usages and alternative names are those asked for', () => {
    const [leafCert, appCaCert, rootCert] = parsed;
    expect(rootCert?.subject).toBe('O=Dstack\nCN=Dstack KMS CA');
    expect(appCaCert?.subject).toBe('O=Dstack\nCN=Dstack App CA');
    expect(leafCert?.subject).toBe('CN=hello');
    expect(leafCert?.validFromDate.toISOString()).toBe('1975-01-01T00:00:00.000Z');
    expect(leafCert?.validToDate.toISOString()).toBe('2036-11-18T12:00:00.000Z');
    expect(leafCert?.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
    expect(leafCert?.checkHost('hello.example.org')).toBe('hello.example.org');
    expect(leafCert?.checkHost('other.example.org')).toBeUndefined();
    expect(leafCert?.checkIP('127.0.0.1')).toBe('127.0.0.1');
    expect(leafCert?.checkIP('::1')).toBe('::1');
    expect(leafCert?.checkPrivateKey(subject.privateKey)).toBe(true);
  });

  it('wraps app id and usage twice, and only where the profile has them', () => {
    const appIdExtension = `060a2b0601040183e73d0103041604 14${'11'.repeat(20)}`.replace(' ', '');
    const usage = (text: string): string => {
      const content = Buffer.from(text);
      const inner = Buffer.concat([Buffer.from([0x04, content.length]), content]);
      return `060a2b0601040183e73d0104${hex(Buffer.concat([Buffer.from([0x04, inner.length]), inner]))}`;
    };
    expect(hex(leaf.der)).toContain(appIdExtension);
    expect(hex(leaf.der)).toContain(usage('app:custom'));
    expect(hex(appCa.der)).toContain(appIdExtension);
    expect(hex(appCa.der)).toContain(usage('app:ca'));
    expect(hex(rootCa.der)).not.toContain('060a2b0601040183e73d01');
  });

  it('has deterministic serials below 2^159 and the dstack key identifier', async () => {
    const { createHash } = await import('node:crypto');
    expect(mintAppCa(root, appCaKey, APP_ID, new Date()).serial).toBe(appCa.serial);
    expect(Number.parseInt(appCa.serial.slice(0, 2), 16)).toBeLessThan(0x80);
    const keyId = createHash('sha256').update(appCaKey.spki).digest('hex').slice(0, 40);
    expect(hex(appCa.der)).toContain(`0603551d0e04160414${keyId}`);
    expect(hex(leaf.der)).not.toContain('0603551d0e');
    expect(parsed[0]?.fingerprint256.replaceAll(':', '').toLowerCase()).toBe(leaf.fingerprint);
  });

  it('reproduces serial and key identifier of the published simulator CA', async () => {
    const { createHash } = await import('node:crypto');
    const { mintCertificate } = await import('./certificate.js');
    const spki = Buffer.from(
      '3059301306072a8648ce3d020106082a8648ce3d0301070342000419b2457dd9b8aa6446d980f136fff7812ecd6c77740eeb0e28b10d56c0c00028a5b6e59dcea307d583bd1f70769e9c116df2bcfb1758a95d8613e7de1c8482c0',
      'hex',
    );
    const name = { commonName: 'any' };
    const minted = mintCertificate({
      subject: name,
      subjectSpki: spki,
      issuer: name,
      issuerSpki: appCaKey.spki,
      issuerKey: appCaKey.privateKey,
      notBefore: NOW,
      notAfter: NOW,
    });
    expect(minted.serial).toBe('53bf34d7e92b0acd8ea487677b7b7a396ac9d9f3');
    expect(createHash('sha256').update(spki).digest('hex').slice(0, 40)).toBe(
      '7af8c9f9564fbc3c472767a38de21a51830c7047',
    );
  });
});

describe('development CA', () => {
  const ca = generateDevelopmentCa({ commonName: 'Vouch development CA', now: NOW });

  it('issues wildcard server certificates that chain to it', () => {
    const server = mintServerCertificate({ ca, dnsNames: ['*.app.localhost', 'app.localhost'], now: NOW });
    const [caCert, cert] = [new X509Certificate(ca.certificate), new X509Certificate(server.certificate)];
    expect(cert.checkIssued(caCert)).toBe(true);
    expect(cert.verify(caCert.publicKey)).toBe(true);
    expect(cert.checkHost('x.app.localhost')).toBe('*.app.localhost');
    expect(cert.checkHost('app.localhost')).toBe('app.localhost');
    expect(cert.checkHost('x.y.app.localhost')).toBeUndefined();
    expect(cert.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
    expect((cert.validToDate.getTime() - cert.validFromDate.getTime()) / 86_400_000).toBe(397);
  });

  it('refuses a key that is not the CA certificate’s', () => {
    const other = generateDevelopmentCa({ commonName: 'other', now: NOW });
    const mixed = { certificate: ca.certificate, privateKey: other.privateKey };
    expect(() => mintServerCertificate({ ca: mixed, dnsNames: ['a.localhost'], now: NOW })).toThrow('do not belong');
  });
});

describe('certificates of the key server itself', () => {
  const tempCaKey = deriveTempCaKey(root);
  const tempCa = new X509Certificate(mintTempCa(tempCaKey, NOW).der);
  const rootCa = new X509Certificate(mintRootCa(root, NOW).der);

  it('has a temp CA whose key follows from the root, and which signs client certificates', () => {
    expect(hex(deriveTempCaKey(root).spki)).toBe(hex(tempCaKey.spki));
    expect(hex(deriveTempCaKey(RootKeys.generate()).spki)).not.toBe(hex(tempCaKey.spki));
    expect([tempCa.subject, tempCa.ca]).toEqual(['O=Dstack\nCN=Dstack Client Temp CA', true]);
    expect(tempCa.verify(tempCa.publicKey)).toBe(true);
    const key = generateP256();
    const attestation = Buffer.from('a VersionedAttestation');
    const { der } = mintTempClient(tempCaKey, { publicKey: key.spki, attestation, now: NOW });
    const client = new X509Certificate(der);
    expect([client.subject, client.checkIssued(tempCa)]).toEqual(['CN=RA-TLS TEMP Cert', true]);
    expect(client.verify(tempCa.publicKey) && client.checkPrivateKey(key.privateKey)).toBe(true);
    const content = Buffer.concat([Buffer.from([0x04, attestation.length]), attestation]);
    const extension = Buffer.concat([
      Buffer.from('060a2b0601040183e73d010804', 'hex'),
      Buffer.from([content.length]),
      content,
    ]);
    expect(Buffer.from(der).includes(extension)).toBe(true);
  });

  it('shows itself under the root CA, for its domain and usage kms:rpc', () => {
    const key = generateP256();
    const { der } = mintKmsRpcLeaf(root, { publicKey: key.spki, domain: 'kms.example', now: NOW });
    const leaf = new X509Certificate(der);
    expect([leaf.subject, leaf.subjectAltName]).toEqual(['CN=kms.example', 'DNS:kms.example']);
    expect(leaf.checkIssued(rootCa) && leaf.verify(rootCa.publicKey)).toBe(true);
    expect([leaf.ca, leaf.keyUsage]).toEqual([false, undefined]);
    // dstack-kms §20.2: extnValue of usage kms:rpc.
    expect(Buffer.from(der).toString('hex')).toContain('060a2b0601040183e73d0104040904076b6d733a727063');
    expect(Buffer.from(der).toString('hex')).not.toContain('060a2b0601040183e73d0108');
  });

  it('is itself as PEM, also with another PEM certificate inside', () => {
    const inner = Buffer.from(mintRootCa(root, NOW).pem);
    const key = generateP256();
    const minted = mintTempClient(tempCaKey, { publicKey: key.spki, attestation: inner, now: NOW });
    expect(hex(new X509Certificate(minted.pem).raw)).toBe(hex(minted.der));
  });
});
