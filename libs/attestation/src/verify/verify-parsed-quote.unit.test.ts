import { describe, expect, it } from 'vitest';
import { parseQuote } from '../abi/index.js';
import { toHex } from '../bytes.js';
import type { QuoteCollateralV3 } from '../collateral/quote-collateral.js';
import { certify, newIdentity, revoke, toPem } from '../testing/test-pki.js';
import {
  TEST_FROM,
  TEST_NOW,
  TEST_UNTIL,
  type TestCollateral,
  TestPlatform,
  type TestQuote,
} from '../testing/test-platform.js';
import { OID } from '../x509/object-identifiers.js';
import { INTEL_SGX_ROOT } from './trust-anchor.js';
import type { VerifyResult } from './verified-quote.js';
import { VERIFY_CHECKS } from './verify-checks.js';
import { verifyParsedQuote } from './verify-parsed-quote.js';

const platform = new TestPlatform();

function verify(
  quote: TestQuote | Uint8Array,
  collateral: TestCollateral | QuoteCollateralV3,
  now = TEST_NOW,
  trustAnchors = [platform.trustAnchor],
): VerifyResult {
  const parsed = parseQuote(quote instanceof Uint8Array ? quote : platform.quote(quote));
  if (!parsed.ok) throw new Error(parsed.failed.detail);
  const pieces = 'tcb_info' in collateral ? collateral : platform.collateral(collateral);
  return verifyParsedQuote(parsed.quote, pieces, { now, trustAnchors });
}

function flipped(bytes: Uint8Array, offset: number): Uint8Array {
  const copy = bytes.slice();
  copy[offset] = (copy[offset] ?? 0) ^ 1;
  return copy;
}

describe('verifyParsedQuote', () => {
  it('accepts a genuine quote, with every check listed as pass', () => {
    const result = verify({}, {});
    if (!result.ok) throw new Error(result.failed.detail);
    expect(result.checks.map((check) => check.name)).toEqual([...VERIFY_CHECKS]);
    expect(result.checks.every((check) => check.outcome === 'pass')).toBe(true);
    expect(result.quote.tcb).toMatchObject({ status: 'UpToDate', moduleStatus: 'UpToDate', evaluationDataNumber: 19 });
    expect(result.quote).toMatchObject({ debug: false, pckCa: 'platform', notBefore: TEST_FROM, notAfter: TEST_UNTIL });
    expect(result.quote.pck).toMatchObject({ fmspc: '00a06f050000', pceId: '0000', pceSvn: 13, sgxType: 1 });
    expect(toHex(result.quote.pck.ppid)).toBe('11'.repeat(16));
  });

  it('reports debug as a fact', () => {
    const result = verify({ tdAttributes: '0100001000000000' }, {});
    expect(result.ok && result.quote.debug).toBe(true);
  });

  it('names the failed check and lists everything behind it as skipped, never as passed', () => {
    const result = verify({ qeReportData: new Uint8Array(64) }, {});
    if (result.ok) throw new Error('accepted');
    const at = VERIFY_CHECKS.indexOf('qe-report.binding');
    expect(result.failed.name).toBe('qe-report.binding');
    expect(result.checks.map((check) => check.outcome)).toEqual(
      VERIFY_CHECKS.map((_, i) => (i < at ? 'pass' : i === at ? 'fail' : 'skipped')),
    );
  });

  it('trusts only the given anchors, and by default only Intel', () => {
    expect(verify({}, {}, TEST_NOW, [INTEL_SGX_ROOT])).toMatchObject({
      ok: false,
      code: 'UNTRUSTED_ROOT',
      failed: { name: 'collateral.tcb-signing-chain' },
    });
    expect(verify({}, {}, TEST_NOW, [])).toMatchObject({ ok: false, code: 'UNTRUSTED_ROOT' });
  });

  it('refuses a platform under one trusted root with collateral under another', () => {
    const other = new TestPlatform();
    const result = verify(other.quote(), platform.collateral(), TEST_NOW, [platform.trustAnchor, other.trustAnchor]);
    expect(result).toMatchObject({ ok: false, code: 'UNTRUSTED_ROOT', failed: { name: 'pck.chain' } });
  });

  it('accepts a renewed root certificate over the same key', () => {
    const renewed = certify(platform.root, platform.root, {
      isCa: true,
      pathLength: 1,
      notAfter: new Date('2049-01-01T00:00:00Z'),
    });
    const chain = toPem(renewed, platform.signerDer);
    expect(verify({}, { ...platform.collateral(), tcb_info_issuer_chain: chain }).ok).toBe(true);
  });

  it('takes CRLs as hex, hex with 0x, and PEM', () => {
    const collateral = platform.collateral();
    const pem = `-----BEGIN X509 CRL-----\n${Buffer.from(collateral.pck_crl, 'hex').toString('base64')}\n-----END X509 CRL-----\n`;
    expect(verify({}, { ...collateral, pck_crl: `0x${collateral.pck_crl}` }).ok).toBe(true);
    expect(verify({}, { ...collateral, pck_crl: pem }).ok).toBe(true);
    expect(verify({}, { ...collateral, pck_crl: collateral.pck_crl.slice(1) }).ok).toBe(false);
  });

  it('takes both ends of the window as inside and refuses the seconds next to them', () => {
    expect(verify({}, {}, TEST_FROM).ok).toBe(true);
    expect(verify({}, {}, TEST_UNTIL).ok).toBe(true);
    const second = 1000;
    expect(verify({}, {}, new Date(TEST_FROM.getTime() - second))).toMatchObject({ code: 'COLLATERAL_NOT_YET_VALID' });
    expect(verify({}, {}, new Date(TEST_UNTIL.getTime() + second))).toMatchObject({ code: 'COLLATERAL_EXPIRED' });
    expect(verify({}, { crlUntil: new Date('2025-12-31T00:00:00Z') })).toMatchObject({
      failed: { name: 'collateral.window' },
    });
  });

  it.each(['pck', 'intermediate', 'signer'] as const)('refuses a revoked %s', (who) => {
    expect(verify({}, { revoked: [who] })).toMatchObject({ ok: false, code: 'CERTIFICATE_REVOKED' });
  });

  it.each<[string, string, (collateral: QuoteCollateralV3) => Partial<QuoteCollateralV3>]>([
    [
      'collateral.tcb-info-signature',
      'a changed TCB info',
      (c) => ({ tcb_info: c.tcb_info.replace('UpToDate', 'OutOfDate') }),
    ],
    [
      'collateral.tcb-info-signature',
      'a TCB info printed again',
      (c) => ({ tcb_info: JSON.stringify(JSON.parse(c.tcb_info), null, 1) }),
    ],
    [
      'collateral.qe-identity-signature',
      'the other signature',
      (c) => ({ qe_identity_signature: c.tcb_info_signature }),
    ],
    ['collateral.root-crl', 'the PCK CRL as root CRL', (c) => ({ root_ca_crl: c.pck_crl })],
    ['collateral.pck-crl', 'the root CRL as PCK CRL', (c) => ({ pck_crl: c.root_ca_crl })],
    [
      'collateral.pck-crl',
      'a forged empty PCK CRL',
      () => ({ pck_crl: toHex(revoke(newIdentity('Test SGX PCK Platform CA', 2), [], TEST_FROM, TEST_UNTIL)) }),
    ],
    ['collateral.format', 'an empty PCK CRL field', () => ({ pck_crl: '' })],
    [
      'collateral.format',
      'a chain of three for two',
      (c) => ({ tcb_info_issuer_chain: c.tcb_info_issuer_chain + c.pck_crl_issuer_chain }),
    ],
    [
      'collateral.format',
      'text between certificates',
      (c) => ({ tcb_info_issuer_chain: `x${c.tcb_info_issuer_chain}` }),
    ],
    ['collateral.tcb-signing-chain', 'a CA as TCB signer', (c) => ({ tcb_info_issuer_chain: c.pck_crl_issuer_chain })],
    [
      'collateral.pck-crl',
      'a CRL chain of another CA',
      () => ({ pck_crl_issuer_chain: toPem(platform.signerDer, platform.rootDer) }),
    ],
  ])('fails %s on %s', (name, _what, change) => {
    const collateral = platform.collateral();
    expect(verify({}, { ...collateral, ...change(collateral) })).toMatchObject({ ok: false, failed: { name } });
  });

  it.each<[string, TestCollateral]>([
    [
      'collateral.kind',
      { tcbInfoExtra: { id: 'SGX', tdxModule: undefined, tdxModuleIdentities: undefined, tcbLevels: [sgxLevel()] } },
    ],
    ['collateral.kind', { identityExtra: { id: 'QE' } }],
    ['pck.platform', { fmspc: '00a06f050001' }],
    ['collateral.format', { levels: [] }],
    ['collateral.format', { levels: [{ status: 'UpToDate' }, { status: 'OutOfDate' }] }],
    ['collateral.format', { levels: [{ status: 'Fine' }] }],
    ['collateral.format', { tcbInfoExtra: { tcbType: 1 } }],
    ['tdx.module', { tcbInfoExtra: { tdxModuleIdentities: [] } }],
    ['qe.identity', { identityExtra: { isvprodid: 3 } }],
    ['qe.identity', { identityExtra: { mrsigner: '00'.repeat(32) } }],
    ['qe.identity', { qeLevels: [{ isvSvn: 5, status: 'UpToDate' }] }],
  ])('fails %s on collateral %j', (name, collateral) => {
    expect(verify({}, collateral)).toMatchObject({ ok: false, failed: { name } });
  });

  it.each<[string, TestQuote]>([
    ['tdx.module', { seamAttributes: new Uint8Array(8).fill(1) }],
    ['tdx.module', { teeTcbSvn: [5, 2, 3] }],
    ['tdx.module', { teeTcbSvn: [3, 1, 3] }],
    ['qe.identity', { qeAttributes: 0x13 }],
    ['qe-report.binding', { qeReportData: new Uint8Array(64).fill(1) }],
  ])('fails %s on quote %j', (name, quote) => {
    expect(verify(quote, {})).toMatchObject({ ok: false, failed: { name } });
  });

  it.each([
    ['quote.signature', 200, 'the measured body'],
    ['quote.signature', 640, 'the quote signature'],
    ['qe-report.binding', 701, 'the attestation key'],
    ['qe-report.signature', 780, 'the QE report'],
    ['qe-report.signature', 1160, 'the QE report signature'],
    ['qe-report.binding', 1221, 'the QE auth data'],
  ])('fails %s when byte %i (%s) is changed', (name, offset) => {
    expect(verify(flipped(platform.quote(), offset), {})).toMatchObject({ ok: false, failed: { name } });
  });

  it.each([OID.authorityKeyId, OID.subjectKeyId, OID.crlDistributionPoints, OID.keyUsage, OID.basicConstraints])(
    'refuses a signer certificate without extension %s',
    (missing) => {
      const signer = certify(platform.signer, platform.root, { isCa: false, omit: [missing] });
      const collateral = { ...platform.collateral(), tcb_info_issuer_chain: toPem(signer, platform.rootDer) };
      expect(verify({}, collateral)).toMatchObject({ ok: false, code: 'CERTIFICATE_FORMAT' });
    },
  );

  it('refuses a chain link that the named issuer did not sign', () => {
    const impostor = newIdentity('Test SGX Root CA', 1);
    const signer = certify(platform.signer, impostor, { isCa: false });
    const collateral = { ...platform.collateral(), tcb_info_issuer_chain: toPem(signer, platform.rootDer) };
    expect(verify({}, collateral)).toMatchObject({ ok: false, code: 'CHAIN_INVALID' });
  });

  it('throws on an invalid evaluation time: that is a bug of the caller', () => {
    expect(() => verify({}, {}, new Date(Number.NaN))).toThrow(RangeError);
  });
});

function sgxLevel() {
  const tcb = { sgxtcbcomponents: Array.from({ length: 16 }, () => ({ svn: 1 })), pcesvn: 1 };
  return { tcb, tcbDate: '2025-05-14T00:00:00Z', tcbStatus: 'UpToDate' };
}
