import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concatBytes, toHex } from '../bytes.js';
import { eventLogJson } from '../event-log/parse-event-log.js';
import { ratlsReportData } from '../report-data/report-data.js';
import { hex, SAMPLE_PLATFORMS, sampleAttestation, sampleRuntimeEvent } from '../testing/sample-attestation.js';
import { TestPlatform } from '../testing/test-platform.js';
import {
  type CertificateSigningRequest,
  type CsrV2,
  readCsr,
  signCsr,
  upgradeCsr,
  verifyCsr,
  writeCsr,
} from './certificate-signing-request.js';

const zeros = (count: number): Uint8Array => new Uint8Array(count);
const START = '44706c65617365207369676e20636572743a';
const config = {
  subject: 'test.example.com',
  subjectAltNames: [],
  usageServerAuth: true,
  usageClientAuth: false,
  extQuote: false,
  extAppInfo: false,
};
const emptyTdx = (quote: Uint8Array, reportData = zeros(64)): CsrV2['attestation'] =>
  sampleAttestation(0, { kind: 'tdx', quote, eventLog: [] }, { reportData, runtimeEvents: [], config: '' });
const r2: CsrV2 = { version: 2, publicKey: hex('010203'), config, attestation: emptyTdx(zeros(0)) };

/** root_ca_spki of dstack-kms §20.2, and its key. */
const rootSpki = hex(
  '3059301306072a8648ce3d020106082a8648ce3d0301070342000491f50522407ce29dce3ed7d31a15d80c1c42f13a23552d2b33a0ce09ee11e47bce95936f3e7f80d195f879e28e1b144ef37ac9ab8e36a690cbf930b775897b27',
);
const signed: CsrV2 = { ...r2, publicKey: rootSpki, attestation: emptyTdx(zeros(0), ratlsReportData(rootSpki)) };
const SIGNED_HEX = `${START}6d01${toHex(rootSpki)}0040746573742e6578616d706c652e636f6d000100000000000000000000d224180bddf1a335755b07626fdc80ce18090be1ff37e7d6e1b53e780e27da0d8fafe99fc41e90333fcb51949ae5a1fc95b7820e142e611256ff4a8dc899750600`;
const SIGNATURE = hex(
  '3045022100c266890ed8a7abcc7359cdf5816d27ef2ac492e011abb412f67d60d79828c28d022006d75951322a9d6bc8a809991d8b6afd3f234ecdaaf03218f6adc0330001c0c7',
);

const code = (result: { readonly ok: boolean; readonly code?: string }): string | undefined =>
  result.ok ? 'ok' : result.code;

describe('certificate requests', () => {
  it('R2: version 2 with empty TDX evidence, 117 bytes', () => {
    const expected = `${START}0c0102030040746573742e6578616d706c652e636f6d0001000000000000${'00'.repeat(69)}`;
    expect(toHex(writeCsr(r2))).toBe(expected);
    expect(readCsr(hex(expected), 2)).toMatchObject({ ok: true, value: r2 });
  });

  it('R3: with a quote and ext_quote, 118 bytes', () => {
    const r3: CsrV2 = { ...r2, config: { ...config, extQuote: true }, attestation: emptyTdx(hex('09')) };
    const bytes = writeCsr(r3);
    expect(bytes).toHaveLength(118);
    expect(toHex(bytes)).toBe(
      `${START}0c0102030040746573742e6578616d706c652e636f6d0001000100000000000409${'00'.repeat(67)}`,
    );
    expect(readCsr(bytes, 2)).toMatchObject({ ok: true, value: r3 });
  });

  it('version 1, as printed', () => {
    const { extAppInfo: _, ...configV1 } = config;
    const v1: CertificateSigningRequest = {
      version: 1,
      publicKey: hex('010203'),
      config: configV1,
      quote: hex('09'),
      eventLog: '[]',
    };
    const expected = `${START}0c0102030040746573742e6578616d706c652e636f6d000100000409085b5d`;
    expect(toHex(writeCsr(v1))).toBe(expected);
    expect(readCsr(hex(expected), 1)).toMatchObject({ ok: true, value: v1 });
  });

  it('version 2 bound to a key by report data, and the printed signature', () => {
    expect(toHex(writeCsr(signed))).toBe(SIGNED_HEX);
    expect(verifyCsr(hex(SIGNED_HEX), 2, SIGNATURE)).toMatchObject({ ok: true, value: signed });
  });

  it('every byte of a signed request is signed', () => {
    for (let at = 0; at < SIGNED_HEX.length / 2; at++) {
      const edited = hex(SIGNED_HEX);
      edited[at] = (edited[at] ?? 0) ^ 1;
      expect(code(verifyCsr(edited, 2, SIGNATURE))).not.toBe('ok');
    }
    const bad = SIGNATURE.slice();
    bad[10] = (bad[10] ?? 0) ^ 1;
    expect(code(verifyCsr(hex(SIGNED_HEX), 2, bad))).toBe('CSR_SIGNATURE');
    expect(code(verifyCsr(hex(SIGNED_HEX), 2, zeros(0)))).toBe('CSR_SIGNATURE');
  });

  it('signs with the key it names; another key is refused', () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const own = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }));
    const bytes = writeCsr({ ...signed, publicKey: own });
    expect(code(verifyCsr(bytes, 2, signCsr(bytes, privateKey)))).toBe('ok');
    const other = createPrivateKey(
      generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'pem', type: 'pkcs8' }),
    );
    expect(code(verifyCsr(bytes, 2, signCsr(bytes, other)))).toBe('CSR_SIGNATURE');
    expect(code(verifyCsr(writeCsr(r2), 2, SIGNATURE))).toBe('DER_FORMAT');
  });

  it('all optional fields', () => {
    const full: CsrV2 = {
      version: 2,
      publicKey: rootSpki,
      config: {
        orgName: 'Örg',
        subject: '',
        subjectAltNames: ['a.example', '10.0.0.1'],
        usageServerAuth: true,
        usageClientAuth: true,
        extQuote: true,
        extAppInfo: true,
        notBefore: 0,
        notAfter: 4_102_444_800,
      },
      attestation: sampleAttestation(1, SAMPLE_PLATFORMS[0] ?? signed.attestation.platform),
    };
    expect(readCsr(writeCsr(full), 2)).toMatchObject({ ok: true, value: full });
  });

  it('refuses another confirmation, trailing bytes, and a version that is not the one written', () => {
    const bytes = writeCsr(r2);
    expect(
      code(
        readCsr(
          bytes.map((byte, at) => (at === 5 ? byte + 1 : byte)),
          2,
        ),
      ),
    ).toBe('CSR_FORMAT');
    expect(code(readCsr(concatBytes(bytes, zeros(1)), 2))).toBe('ATTESTATION_FORMAT');
    expect(code(readCsr(bytes, 1))).toBe('CSR_FORMAT');
    expect(code(readCsr(bytes.subarray(0, 47), 2))).toBe('ATTESTATION_SIZE');
  });

  it('upgrades version 1 only when its quote is a TDX quote', () => {
    const v1 = readCsr(hex(`${START}0c0102030040746573742e6578616d706c652e636f6d000100000409085b5d`), 1);
    if (!v1.ok || v1.value.version !== 1) throw new Error('not a version 1 request');
    expect(code(upgradeCsr(v1.value))).toBe('QUOTE_TRUNCATED');
    expect(upgradeCsr(r2)).toMatchObject({ ok: true, value: r2 });
    const quote = new TestPlatform().quote({ reportData: ratlsReportData(rootSpki) });
    for (const version of [1, 2] as const) {
      const event = sampleRuntimeEvent('app-id', hex('0102'), version);
      expect(upgradeCsr({ ...v1.value, version: 1, quote, eventLog: eventLogJson([event]) })).toMatchObject({
        ok: true,
        value: {
          version: 2,
          config: { subject: 'test.example.com', extAppInfo: false },
          attestation: {
            version: version - 1,
            platform: { kind: 'tdx', quote, eventLog: [event] },
            stack: { reportData: ratlsReportData(rootSpki), runtimeEvents: [{ event: 'app-id', version }] },
          },
        },
      });
    }
    expect(code(upgradeCsr({ ...v1.value, version: 1, quote, eventLog: '{}' }))).toBe('EVENT_LOG_FORMAT');
  });

  it('damaged bytes never throw', () => {
    const bytes = writeCsr(signed);
    fc.assert(
      fc.property(fc.nat(), fc.nat(255), fc.nat(), fc.constantFrom(1, 2), (at, value, cut, version) => {
        const edited = bytes.slice();
        edited[at % bytes.length] = value;
        readCsr(edited, version as 1 | 2);
        verifyCsr(edited.subarray(0, cut % bytes.length), version as 1 | 2, SIGNATURE);
      }),
      { numRuns: 1500 },
    );
  });
});
