import { createHash, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concatBytes, toHex } from '../bytes.js';
import { readAttestation } from '../encodings/read-attestation.js';
import { stripForCertificate, writeAttestation } from '../encodings/write-attestation.js';
import { Refusal } from '../refusal.js';
import { ratlsReportData } from '../report-data/report-data.js';
import { hex, latin1, SAMPLE_PLATFORMS, sampleAttestation } from '../testing/sample-attestation.js';
import { type AppInfo, readAppInfo, writeAppInfo } from './app-info.js';
import { der, encodeDer, objectIdentifier, octetString, time, unsignedInteger } from './der-writer.js';
import { type CertificateContent, mintCertificate, prepareIssuer } from './mint-certificate.js';
import { readRatlsCertificate } from './ratls-certificate.js';
import { RATLS_OID, readRatlsExtensions, writeRatlsExtensions } from './ratls-extensions.js';

const filled = (sizeBytes: number, byte: number): Uint8Array => new Uint8Array(sizeBytes).fill(byte);
const code = (result: { readonly ok: boolean; readonly code?: string }): string | undefined =>
  result.ok ? 'ok' : result.code;

const info: AppInfo = {
  appId: filled(20, 0x11),
  composeHash: filled(32, 0x22),
  instanceId: filled(20, 0x44),
  deviceId: filled(32, 0x66),
  mrSystem: filled(32, 0x77),
  mrAggregated: filled(32, 0x88),
  osImageHash: filled(32, 0x99),
  keyProviderInfo: latin1('{"name":"kms","id":"00"}'),
  initScriptHashes: [],
};
/** dstack-kms §20.2, appinfo_msgpack. */
const INFO_HEX = `99c414${'11'.repeat(20)}c420${'22'.repeat(32)}c414${'44'.repeat(20)}c420${'66'.repeat(32)}c420${'77'.repeat(32)}c420${'88'.repeat(32)}c420${'99'.repeat(32)}c4187b226e616d65223a226b6d73222c226964223a223030227d90`;

describe('AppInfo', () => {
  it('the printed vector, read and written', () => {
    expect(toHex(writeAppInfo(info))).toBe(INFO_HEX);
    expect(readAppInfo(hex(INFO_HEX))).toMatchObject({ ok: true, value: info });
  });

  it('init scripts: some, none known', () => {
    for (const initScriptHashes of [null, [filled(32, 1), filled(32, 2)]]) {
      const other = { ...info, initScriptHashes };
      expect(readAppInfo(writeAppInfo(other))).toMatchObject({ ok: true, value: other });
    }
  });

  it.each([
    ['a map', `8${INFO_HEX.slice(1)}`],
    ['eight fields', `98${INFO_HEX.slice(2)}`],
    ['trailing bytes', `${INFO_HEX}00`],
    ['a cut', INFO_HEX.slice(0, -2)],
    ['a field as array', INFO_HEX.replace('c414', '9214')],
    ['an init script hash of 31 bytes', `${INFO_HEX.slice(0, -2)}91c41f${'00'.repeat(31)}`],
    ['six init scripts', `${INFO_HEX.slice(0, -2)}96${`c420${'00'.repeat(32)}`.repeat(6)}`],
    ['nothing', ''],
  ])('refuses %s', (_name, text) => {
    expect(code(readAppInfo(hex(text)))).toBe('APP_INFO_FORMAT');
  });

  it('damaged bytes never throw', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(255), (at, value) => {
        const bytes = hex(INFO_HEX);
        expect(code(readAppInfo(bytes.with(at % bytes.length, value)))).toMatch(/^(ok|APP_INFO_FORMAT)$/);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('RA-TLS extensions', () => {
  it('values as printed: an OCTET STRING of their own', () => {
    const written = writeRatlsExtensions({ appId: filled(20, 0x11), usage: 'kms:rpc' });
    expect(written.map(({ oid, value }) => [oid, toHex(value)])).toEqual([
      [RATLS_OID.appId, `0414${'11'.repeat(20)}`],
      [RATLS_OID.usage, '04076b6d733a727063'],
    ]);
  });

  it('object identifiers as printed', () => {
    expect(Object.values(RATLS_OID).map((oid) => toHex(encodeDer(objectIdentifier(oid))))).toEqual(
      ['01', '02', '03', '04', '08', '09'].map((last) => `060a2b0601040183e73d01${last}`),
    );
  });

  const of = (oid: string, value: Uint8Array) => readRatlsExtensions(new Map([[oid, value]]));
  const wrapped = (content: Uint8Array): Uint8Array => encodeDer(octetString(content));

  it('all six, read and written', () => {
    const all = {
      quote: hex('0400'),
      eventLog: '[]',
      appId: filled(20, 1),
      usage: 'app:custom',
      attestation: filled(300, 2),
      appInfo: writeAppInfo(info),
    };
    const map = new Map(writeRatlsExtensions(all).map(({ oid, value }) => [oid, value]));
    expect(map.size).toBe(6);
    expect(readRatlsExtensions(map)).toEqual(all);
    expect(readRatlsExtensions(new Map())).toEqual({});
  });

  it('an event log may be packed, up to 16 KiB unpacked', () => {
    const packed = (text: string): Uint8Array => wrapped(concatBytes(latin1('ELGZv1'), gzipSync(text)));
    expect(of(RATLS_OID.eventLog, packed('[1]'))).toEqual({ eventLog: '[1]' });
    expect(of(RATLS_OID.eventLog, packed(' '.repeat(16 * 1024))).eventLog).toHaveLength(16 * 1024);
    expect(() => of(RATLS_OID.eventLog, packed(' '.repeat(16 * 1024 + 1)))).toThrow(Refusal);
    expect(() => of(RATLS_OID.eventLog, packed(' '.repeat(50_000_000)))).toThrow(Refusal);
    expect(() => of(RATLS_OID.eventLog, wrapped(latin1('ELGZv1no')))).toThrow(Refusal);
  });

  it('a value that is not wrapped, or not only, is refused; text must be UTF-8', () => {
    expect(() => of(RATLS_OID.appId, filled(20, 0x11))).toThrow(Refusal);
    expect(() => of(RATLS_OID.appId, concatBytes(wrapped(filled(20, 1)), hex('00')))).toThrow(Refusal);
    expect(() => of(RATLS_OID.usage, wrapped(hex('ff')))).toThrow(Refusal);
    expect(of(RATLS_OID.appInfo, wrapped(hex('90')))).toEqual({ appInfo: hex('90') });
  });
});

describe('DER writing', () => {
  it('lengths of one to four bytes', () => {
    const lengths = [0, 127, 128, 255, 256, 65_535, 65_536].map((size) =>
      toHex(encodeDer(octetString(filled(size, 0)))).slice(0, 10),
    );
    expect(lengths).toEqual([
      '0400',
      '047f000000',
      '0481800000',
      '0481ff0000',
      '0482010000',
      '0482ffff00',
      '0483010000',
    ]);
    expect(() => encodeDer({ tag: 4, contentBytes: 2 ** 24, encodedBytes: 8, parts: [] })).toThrow(RangeError);
  });

  it('integers in their shortest form, times by year', () => {
    expect(['', '00', '0001', '80', '007f'].map((text) => toHex(encodeDer(unsignedInteger(hex(text)))))).toEqual([
      '020100',
      '020100',
      '020101',
      '02020080',
      '02017f',
    ]);
    const tag = (date: string): number | undefined => encodeDer(time(new Date(date)))[0];
    expect([tag('1975-01-01'), tag('2049-12-31'), tag('2050-01-01')]).toEqual([0x17, 0x17, 0x18]);
    expect(() => time(new Date('1949-12-31'))).toThrow(RangeError);
    expect(() => objectIdentifier('2g')).toThrow(RangeError);
    expect(toHex(encodeDer(der(0x30)))).toBe('3000');
  });
});

describe('certificates', () => {
  const pair = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const [ca, leaf] = [pair(), pair()];
  const spki = ({ publicKey }: ReturnType<typeof pair>): Uint8Array =>
    new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }));
  const issuer = prepareIssuer({
    name: { organization: 'Dstack', commonName: 'Dstack App CA' },
    publicKey: spki(ca),
    privateKey: ca.privateKey,
  });
  const attestation = writeAttestation(
    stripForCertificate(sampleAttestation(0, SAMPLE_PLATFORMS[0] ?? { kind: 'nitro-enclave', nsmQuote: hex('') })),
  );
  const content: CertificateContent = {
    subject: { commonName: 'app.example' },
    publicKey: spki(leaf),
    notBefore: new Date('1975-01-01T00:00:00Z'),
    notAfter: new Date('2035-06-01T10:00:00Z'),
    purposes: ['serverAuth', 'clientAuth'],
    altNames: ['app.example', '10.0.0.1', '::1', 'fe80::1:2', '::ffff:1.2.3.4', '1:2:3:4:5:6:7:8'],
    ratls: { appId: filled(20, 0x11), usage: 'app:custom', attestation, appInfo: writeAppInfo(info) },
  };
  const minted = mintCertificate(issuer, content);

  it('OpenSSL reads and verifies what is minted', () => {
    const certificate = new X509Certificate(minted);
    expect(certificate.verify(ca.publicKey)).toBe(true);
    expect(certificate.verify(leaf.publicKey)).toBe(false);
    expect(certificate.subject).toBe('CN=app.example');
    expect(certificate.issuer).toBe('O=Dstack\nCN=Dstack App CA');
    expect(certificate.validFrom).toBe('Jan  1 00:00:00 1975 GMT');
    expect(certificate.validTo).toBe('Jun  1 10:00:00 2035 GMT');
    expect(certificate.ca).toBe(false);
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
    expect(certificate.subjectAltName).toBe(
      'DNS:app.example, IP Address:10.0.0.1, IP Address:0:0:0:0:0:0:0:1, IP Address:FE80:0:0:0:0:0:1:2, IP Address:0:0:0:0:0:FFFF:102:304, IP Address:1:2:3:4:5:6:7:8',
    );
    expect(certificate.publicKey.export({ format: 'der', type: 'spki' }).equals(spki(leaf))).toBe(true);
  });

  it('serial of the dstack profile: from the point, top bit cleared', () => {
    const digest = createHash('sha256').update(spki(leaf).subarray(26)).digest().subarray(0, 20);
    digest[0] = (digest[0] ?? 0) & 0x7f;
    expect(BigInt(`0x${new X509Certificate(minted).serialNumber}`)).toBe(BigInt(`0x${digest.toString('hex')}`));
  });

  it('a CA, and a leaf for browsers', () => {
    const root = mintCertificate(
      prepareIssuer({ name: { commonName: 'Root' }, publicKey: spki(ca), privateKey: ca.privateKey }),
      {
        subject: { commonName: 'Root' },
        publicKey: spki(ca),
        notBefore: content.notBefore,
        notAfter: new Date('2099-01-01T00:00:00Z'),
        caPathLength: 1,
      },
    );
    expect(new X509Certificate(root)).toMatchObject({ ca: true, validTo: 'Jan  1 00:00:00 2099 GMT' });
    expect(new X509Certificate(root).verify(ca.publicKey)).toBe(true);
    const full = new X509Certificate(
      mintCertificate(prepareIssuer({ name: { commonName: 'Root' }, publicKey: spki(ca), privateKey: ca.privateKey }), {
        ...content,
        keyIdentifiers: 'full',
      }),
    );
    expect(full.checkIssued(new X509Certificate(root))).toBe(true);
    expect(
      new X509Certificate(mintCertificate(issuer, { ...content, subject: { commonName: '' } })).subject,
    ).toBeFalsy();
  });

  it('refuses keys that are not P-256 and names a certificate cannot carry', () => {
    expect(() => mintCertificate(issuer, { ...content, publicKey: hex('3000') })).toThrow(Refusal);
    for (const name of ['ä.example', 'a b', '', 'fe80::1%eth0']) {
      expect(() => mintCertificate(issuer, { ...content, altNames: [name] })).toThrow(RangeError);
    }
  });

  it('reading one: key, window, extensions, and the attestation inside', () => {
    const result = readRatlsCertificate(minted);
    if (!result.ok) throw new Error(result.failed.detail);
    expect(result.value).toEqual({
      publicKey: spki(leaf),
      notBefore: content.notBefore,
      notAfter: content.notAfter,
      ratls: content.ratls,
    });
    expect(code(readAttestation(result.value.ratls.attestation ?? hex('')))).toBe('ok');
    expect(ratlsReportData(result.value.publicKey)).not.toEqual(ratlsReportData(spki(ca)));
  });

  it('damaged certificates never throw', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(255), fc.nat(), (at, value, cut) => {
        expect(code(readRatlsCertificate(minted.with(at % minted.length, value)))).toMatch(
          /^(ok|DER_FORMAT|CERTIFICATE_FORMAT|RATLS_FORMAT)$/,
        );
        expect(code(readRatlsCertificate(minted.subarray(0, cut % minted.length)))).toBe('DER_FORMAT');
      }),
      { numRuns: 2000 },
    );
  });
});
