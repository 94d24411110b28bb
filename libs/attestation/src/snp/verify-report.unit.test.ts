import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concatBytes } from '../bytes.js';
import { integer, octets } from '../testing/der-writer.js';
import { toPem } from '../testing/test-pki.js';
import {
  CHIP_ID,
  ia5,
  LEVELS,
  newRsaPair,
  newVek,
  SIGNED_WITH_VLEK,
  SNP_NOW,
  type SnpReportShape,
  TestSnpPlatform,
  tcbBytes,
  turinTcbBytes,
  vekExtensions,
} from '../testing/test-snp-platform.js';
import { AMD_OID } from './object-identifiers.js';
import { parseSnpReport } from './parse-report.js';
import { REPORT_FIELD, SIGNED_BYTES, SNP_REPORT_BYTES } from './report-layout.js';
import { amdTrustAnchors, type SnpTrustAnchor, snpTrustAnchorFromDer, snpTrustAnchorFromPem } from './trust-anchor.js';
import type { VerifySnpResult } from './verified-report.js';
import { SNP_VERIFY_CHECKS, verifySnpReport } from './verify-report.js';

const platform = new TestSnpPlatform();
const stranger = new TestSnpPlatform(newRsaPair(), platform.signerPair);

interface Case {
  readonly report?: SnpReportShape | Uint8Array;
  readonly certificates?: readonly Uint8Array[];
  readonly crl?: Uint8Array | null;
  readonly now?: Date;
  readonly anchors?: readonly SnpTrustAnchor[];
}

const CHAIN = [platform.vcekDer, platform.askDer, platform.arkDer];
const CRL = platform.revocationList();

function verify({ report, certificates, crl, now, anchors }: Case = {}): VerifySnpResult {
  const parsed = parseSnpReport(report instanceof Uint8Array ? report : platform.report(report));
  if (!parsed.ok) throw new Error(parsed.failed.detail);
  const list = crl === null ? {} : { revocationList: crl ?? CRL };
  return verifySnpReport(
    parsed.report,
    { certificates: certificates ?? CHAIN, ...list },
    { now: now ?? SNP_NOW, trustAnchors: anchors ?? [platform.trustAnchor] },
  );
}

function refusal(input: Case, name: string, code: string): void {
  const result = verify(input);
  expect(result).toMatchObject({ ok: false, code, failed: { name, outcome: 'fail' } });
  expect(result.checks.map((check) => check.name)).toEqual([...SNP_VERIFY_CHECKS]);
  const failedAt = SNP_VERIFY_CHECKS.map(String).indexOf(name);
  expect(result.checks.slice(failedAt + 1).every((check) => check.outcome === 'skipped')).toBe(true);
}

describe('verifySnpReport: what holds', () => {
  it('states every check and the facts', () => {
    const result = verify();
    if (!result.ok) throw new Error(result.failed.detail);
    expect(result.checks.map((check) => [check.name, check.outcome])).toEqual(
      SNP_VERIFY_CHECKS.map((name) => [name, 'pass']),
    );
    expect(result.report).toMatchObject({
      product: 'Milan',
      debug: false,
      revocationChecked: true,
      tcb: { status: 'UpToDate', reported: { bootloader: 4, tee: 1, snp: 23, microcode: 213, fmc: null } },
      endorsement: { kind: 'VCEK', productName: 'Milan-B0', cspId: null },
      trustAnchor: { name: 'ARK-Test' },
      notBefore: new Date('2025-12-01T00:00:00Z'),
      notAfter: new Date('2026-02-01T00:00:00Z'),
    });
  });

  it.each([2, 3, 4, 5])('report version %i', (version) => {
    expect(verify({ report: { version } }).ok).toBe(true);
  });

  it('without a CRL revocation is skipped, not passed', () => {
    const result = verify({ crl: null });
    const skipped = result.checks.filter((check) => check.outcome === 'skipped').map((check) => check.name);
    expect(skipped).toEqual(['certificates.crl', 'certificates.revocation']);
    expect(result.ok && result.report.revocationChecked).toBe(false);
  });

  it('takes the certificates in any order and form, with or without the root', () => {
    const pem = Buffer.from(toPem(platform.askDer, platform.arkDer));
    expect(verify({ certificates: [platform.askDer, platform.vcekDer] }).ok).toBe(true);
    expect(verify({ certificates: [new Uint8Array(pem), platform.vcekDer] }).ok).toBe(true);
    expect(verify({ certificates: [table([VCEK_GUID, platform.vcekDer], [ASK_GUID, platform.askDer])] }).ok).toBe(true);
  });

  it('a VLEK chain, whose chip check is skipped', () => {
    const report = { fields: { keyInfo: SIGNED_WITH_VLEK, chipId: new Uint8Array(64) }, signer: platform.vlek };
    const result = verify({ report, certificates: [platform.vlekDer, platform.asvkDer] });
    if (!result.ok) throw new Error(result.failed.detail);
    expect(result.report.endorsement).toMatchObject({ kind: 'VLEK', cspId: 'cloud.example', hardwareId: null });
    expect(result.checks.find((check) => check.name === 'endorsement.chip')?.outcome).toBe('skipped');
  });

  it('a Turin report: short chip id, other TCB layout', () => {
    const chipId = CHIP_ID.slice(0, 8);
    const tcb = turinTcbBytes(2, LEVELS);
    const fields = {
      cpuFamily: new Uint8Array([0x1a, 0x02]),
      chipId: concatBytes(chipId, new Uint8Array(56)),
      currentTcb: tcb,
      reportedTcb: tcb,
      committedTcb: tcb,
      launchTcb: tcb,
    };
    const extensions = {
      ...vekExtensions('Turin-B0', LEVELS),
      [AMD_OID.fmcSpl]: integer(2),
      [AMD_OID.hardwareId]: chipId,
    };
    const certificates = [platform.endorsement({ extensions }), platform.askDer];
    const result = verify({ report: { fields }, certificates });
    expect(result.ok && result.report.tcb.reported).toMatchObject({ fmc: 2, snp: 23 });
    const longer = { ...fields, chipId: concatBytes(chipId, new Uint8Array(56).fill(1)) };
    refusal({ report: { fields: longer }, certificates }, 'endorsement.chip', 'SNP_KEY_MISMATCH');
  });

  it('a hardware id inside an OCTET STRING', () => {
    const certificates = [
      platform.endorsement({ extensions: { [AMD_OID.hardwareId]: octets(CHIP_ID) } }),
      platform.askDer,
    ];
    expect(verify({ certificates }).ok).toBe(true);
  });

  it.each(['currentTcb', 'committedTcb', 'launchTcb'] as const)('a differing %s is OutOfDate, a fact', (field) => {
    const result = verify({ report: { fields: { [field]: tcbBytes([4, 1, 24, 213]) } } });
    expect(result.ok && result.report.tcb.status).toBe('OutOfDate');
  });

  it('debug is a fact', () => {
    const result = verify({ report: { fields: { policy: new Uint8Array([0, 0, 0x0b]) } } });
    expect(result.ok && result.report.debug).toBe(true);
  });
});

describe('verifySnpReport: what is refused', () => {
  const withVek = (shape: Parameters<TestSnpPlatform['endorsement']>[0]): Case => ({
    certificates: [platform.endorsement(shape), platform.askDer],
  });
  const withSigner = (shape: Parameters<TestSnpPlatform['signer']>[0]): Case => ({
    certificates: [platform.vcekDer, platform.signer(shape)],
  });

  it.each<[string, Case, string]>([
    ['no certificates', { certificates: [] }, 'CHAIN_FORMAT'],
    ['no signing key', { certificates: [platform.vcekDer] }, 'CHAIN_FORMAT'],
    ['two signing keys', { certificates: [...CHAIN, platform.asvkDer] }, 'CHAIN_FORMAT'],
    ['two endorsement keys', { certificates: [...CHAIN, platform.vlekDer] }, 'CHAIN_FORMAT'],
    ['two roots', { certificates: [...CHAIN, platform.arkDer] }, 'CHAIN_FORMAT'],
    ['too many entries', { certificates: new Array(9).fill(platform.vcekDer) }, 'CHAIN_FORMAT'],
    ['bytes that are no certificate', { certificates: [new Uint8Array([1, 2, 3])] }, 'DER_FORMAT'],
    ['an endless table', { certificates: [table([VCEK_GUID, platform.vcekDer]).subarray(0, 24)] }, 'CHAIN_FORMAT'],
    ['a table pointing outside', { certificates: [outsideTable()] }, 'CHAIN_FORMAT'],
    ['another salt length', withVek({ saltBytes: 32 }), 'CERTIFICATE_FORMAT'],
    ['an unknown product', withVek({ extensions: { [AMD_OID.productName]: ia5('Naples-B1') } }), 'VEK_EXTENSION'],
    ['no patch level', withVek({ extensions: { [AMD_OID.snpSpl]: null } }), 'VEK_EXTENSION'],
    ['a patch level of 256', withVek({ extensions: { [AMD_OID.snpSpl]: integer(256) } }), 'DER_FORMAT'],
    ['neither chip nor provider', withVek({ extensions: { [AMD_OID.hardwareId]: null } }), 'VEK_EXTENSION'],
    ['chip and provider', withVek({ extensions: { [AMD_OID.cspId]: ia5('x') } }), 'VEK_EXTENSION'],
    ['a short chip id', withVek({ extensions: { [AMD_OID.hardwareId]: octets(new Uint8Array(8)) } }), 'VEK_EXTENSION'],
    ['an endorsement key that is a CA', withVek({ isCa: true }), 'VEK_EXTENSION'],
  ])('certificates.format: %s', (_what, input, code) => refusal(input, 'certificates.format', code));

  it('certificates.root: a root that is no anchor, with and without the root in the evidence', () => {
    const anchors = [stranger.trustAnchor];
    refusal({ anchors }, 'certificates.root', 'UNTRUSTED_ROOT');
    refusal({ anchors, certificates: [platform.vcekDer, platform.askDer] }, 'certificates.root', 'UNTRUSTED_ROOT');
    refusal({ anchors: amdTrustAnchors() }, 'certificates.root', 'UNTRUSTED_ROOT');
    refusal({ anchors: [] }, 'certificates.root', 'UNTRUSTED_ROOT');
  });

  it.each<[string, Case]>([
    ['an endorsement key of another signing key', { certificates: [platform.vcekDer, platform.asvkDer] }],
    ['a signing key that is no CA', withSigner({ isCa: false })],
    ['a signing key that may not sign', withSigner({ keyUsage: 0x02 })],
    ['a signing key of another root', { certificates: [platform.vcekDer, stranger.askDer, platform.arkDer] }],
    [
      'an endorsement key signed by the root',
      { certificates: [platform.endorsement({}, platform.vcek, platform.ark), platform.askDer] },
    ],
  ])('certificates.chain: %s', (_what, input) => refusal(input, 'certificates.chain', 'CHAIN_INVALID'));

  it('certificates.chain: an endorsement key that is not P-384', () => {
    const rsa = { ...platform.vcek, spki: platform.signerPair.spki };
    const certificates = [platform.endorsement({}, rsa), platform.askDer];
    refusal({ certificates }, 'certificates.chain', 'KEY_INVALID');
  });

  it.each<[string, Uint8Array, string]>([
    ['of another root', stranger.revocationList(), 'CRL_INVALID'],
    ['of the signing key', platform.revocationList({}, platform.ask), 'CRL_INVALID'],
    ['that is none', new Uint8Array([0x30, 0]), 'DER_FORMAT'],
  ])('certificates.crl: a CRL %s', (_what, crl, code) => refusal({ crl }, 'certificates.crl', code));

  it('certificates.revocation: the signing key in the CRL, and no other one', () => {
    const crl = platform.revocationList({ revoked: [1, platform.ask.serial] });
    refusal({ crl }, 'certificates.revocation', 'CERTIFICATE_REVOKED');
    expect(verify({ crl: platform.revocationList({ revoked: [1, platform.asvk.serial] }) }).ok).toBe(true);
  });

  const before = new Date(SNP_NOW.getTime() - 1000);
  const after = new Date(SNP_NOW.getTime() + 1000);
  it.each<[string, Case, string]>([
    ['an endorsement key not yet valid', withVek({ notBefore: after }), 'COLLATERAL_NOT_YET_VALID'],
    ['an expired endorsement key', withVek({ notAfter: before }), 'COLLATERAL_EXPIRED'],
    ['a signing key not yet valid', withSigner({ notBefore: after }), 'COLLATERAL_NOT_YET_VALID'],
    ['an expired signing key', withSigner({ notAfter: before }), 'COLLATERAL_EXPIRED'],
    ['a CRL of the future', { crl: platform.revocationList({ thisUpdate: after }) }, 'COLLATERAL_NOT_YET_VALID'],
    ['an expired CRL', { crl: platform.revocationList({ nextUpdate: before }) }, 'COLLATERAL_EXPIRED'],
  ])('certificates.window: %s', (_what, input, code) => refusal(input, 'certificates.window', code));

  it('certificates.window: an expired root, though anchored', () => {
    const der = platform.root({ notAfter: before });
    refusal(
      { certificates: [platform.vcekDer, platform.askDer], anchors: [snpTrustAnchorFromDer(der, 'old')] },
      'certificates.window',
      'COLLATERAL_EXPIRED',
    );
  });

  it('certificates.window: both ends belong to the window', () => {
    expect(verify({ certificates: [platform.endorsement({ notBefore: SNP_NOW }), platform.askDer] }).ok).toBe(true);
    expect(verify({ certificates: [platform.endorsement({ notAfter: SNP_NOW }), platform.askDer] }).ok).toBe(true);
    expect(() => verify({ now: new Date(Number.NaN) })).toThrow(RangeError);
  });

  it.each<[string, Uint8Array, string]>([
    ['no key', new Uint8Array([7 << 2]), 'SNP_UNSIGNED'],
    ['a masked chip key', new Uint8Array([2]), 'SNP_UNSIGNED'],
    ['a VLEK', SIGNED_WITH_VLEK, 'SNP_KEY_MISMATCH'],
  ])('endorsement.kind: a report that names %s, with a VCEK', (_what, keyInfo, code) => {
    refusal({ report: { fields: { keyInfo } } }, 'endorsement.kind', code);
  });

  it('endorsement.product: a report of another product line', () => {
    const fields = { cpuFamily: new Uint8Array([0x19, 0x11]) };
    refusal({ report: { fields } }, 'endorsement.product', 'SNP_KEY_MISMATCH');
  });

  it('endorsement.chip: another chip, and a masked one', () => {
    const other = CHIP_ID.toReversed();
    refusal({ report: { fields: { chipId: other } } }, 'endorsement.chip', 'SNP_KEY_MISMATCH');
    refusal({ report: { fields: { chipId: new Uint8Array(64) } } }, 'endorsement.chip', 'SNP_CHIP_MASKED');
  });

  it.each([0, 1, 2, 3])('endorsement.tcb: level %i differs from the certificate, in either direction', (part) => {
    for (const step of [-1, 1]) {
      const [bootloader, tee, snp, microcode] = LEVELS.map((value, i) => (i === part ? value + step : value));
      const reportedTcb = tcbBytes([bootloader ?? 0, tee ?? 0, snp ?? 0, microcode ?? 0]);
      refusal({ report: { fields: { reportedTcb } } }, 'endorsement.tcb', 'SNP_TCB_MISMATCH');
    }
  });

  it('endorsement.tcb: a reserved byte of a TCB version', () => {
    refusal({ report: { patch: { [REPORT_FIELD.launchTcb.offset + 3]: 1 } } }, 'endorsement.tcb', 'SNP_FORMAT');
  });

  it('report.signature: another key of the same kind', () => {
    refusal({ report: { signer: newVek('SEV-VCEK') } }, 'report.signature', 'SNP_SIGNATURE');
  });

  it('report.signature: zero signature', () => {
    const report = platform.report();
    report.fill(0, SIGNED_BYTES);
    refusal({ report }, 'report.signature', 'SNP_SIGNATURE');
  });

  it('no edited byte of a report is accepted', () => {
    const valid = platform.report({ version: 5 });
    fc.assert(
      fc.property(fc.nat(SNP_REPORT_BYTES - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
        const bytes = valid.slice();
        bytes[at] = (bytes[at] ?? 0) ^ mask;
        const parsed = parseSnpReport(bytes);
        expect(parsed.ok && verify({ report: bytes }).ok).toBe(false);
      }),
      { numRuns: 400 },
    );
  });

  it.each([
    ['endorsement key', platform.vcekDer, (der: Uint8Array): Case => ({ certificates: [der, platform.askDer] })],
    ['signing key', platform.askDer, (der: Uint8Array): Case => ({ certificates: [platform.vcekDer, der] })],
    ['CRL', CRL, (crl: Uint8Array): Case => ({ crl })],
  ] as const)('no edited byte of the %s is accepted, and none throws', (_what, der, input) => {
    fc.assert(
      fc.property(fc.nat(der.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
        const bytes = der.slice();
        bytes[at] = (bytes[at] ?? 0) ^ mask;
        expect(verify(input(bytes)).ok).toBe(false);
      }),
      { numRuns: 400 },
    );
  });

  it('property: any certificate bytes are a refusal, never an exception', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 4 }), (certificates) => {
        expect(verify({ certificates }).ok).toBe(false);
      }),
    );
  });
});

describe('trust anchors', () => {
  it('AMD’s roots are built in: self-signed, pinned, of three product lines', () => {
    expect(amdTrustAnchors().map(({ name }) => name)).toEqual(['ARK-Milan', 'ARK-Genoa', 'ARK-Turin']);
  });

  it.each([
    ['a signing key', () => platform.askDer],
    ['a root that signs nothing', () => platform.root({ keyUsage: 0x02 })],
    ['an edited root', () => platform.arkDer.with(platform.arkDer.length - 1, 0)],
    ['no certificate', () => new Uint8Array(3)],
  ])('refuses %s', (_what, der) => {
    expect(() => snpTrustAnchorFromDer(der(), 'x')).toThrow(
      expect.objectContaining({ code: 'SNP_TRUST_ANCHOR_INVALID', retryable: false }),
    );
  });

  it('reads exactly one certificate from PEM', () => {
    expect(snpTrustAnchorFromPem(toPem(platform.arkDer), 'x').fingerprint).toBe(platform.trustAnchor.fingerprint);
    expect(() => snpTrustAnchorFromPem(toPem(platform.arkDer, platform.arkDer), 'x')).toThrow('2 certificates');
    expect(() => snpTrustAnchorFromPem('x', 'x')).toThrow('trust anchor');
  });
});

const VCEK_GUID = '63da758de6644564adc5f4b93be8accd';
const ASK_GUID = '4ab7b379bbac4fe4a02f05aef327c782';

/** Certificate table of the guest driver. */
function table(...entries: readonly (readonly [string, Uint8Array])[]): Uint8Array {
  const header = new Uint8Array((entries.length + 1) * 24);
  const view = new DataView(header.buffer);
  let offset = header.length;
  entries.forEach(([guid, der], i) => {
    header.set(Buffer.from(guid, 'hex'), i * 24);
    view.setUint32(i * 24 + 16, offset, true);
    view.setUint32(i * 24 + 20, der.length, true);
    offset += der.length;
  });
  return concatBytes(header, ...entries.map(([, der]) => der));
}

function outsideTable(): Uint8Array {
  const bytes = table([VCEK_GUID, platform.vcekDer]);
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(20, bytes.length, true);
  return bytes;
}
