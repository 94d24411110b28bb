import { describe, expect, it } from 'vitest';
import { hashBytes, toHex } from '../bytes.js';
import { snpHostData } from '../measurements/mr-config-v3.js';
import {
  CHIP_ID,
  SIGNED_WITH_VLEK,
  SNP_NOW,
  type SnpReportShape,
  TestSnpPlatform,
  tcbBytes,
  u64,
} from '../testing/test-snp-platform.js';
import { type AppraiseSnpResult, appraiseSnp, SNP_APPRAISE_CHECKS } from './appraise-report.js';
import { bindSnpMrConfig } from './mr-config.js';
import { parseSnpReport } from './parse-report.js';
import type { SnpAppraisalPolicy } from './policy.js';
import { verifySnpReport } from './verify-report.js';

const platform = new TestSnpPlatform();
const CRL = platform.revocationList();

/** The test root is not AMD's, so that every other test names that weakening; minimum levels are the platform's own. */
const MINIMUM = { fmc: null, bootloader: 4, tee: 1, snp: 23, microcode: 213 };
const dev: SnpAppraisalPolicy = { unsafeTrustAnchorAccepted: true, minimumTcb: { Milan: MINIMUM } };

function decide(
  policy: SnpAppraisalPolicy,
  shape: SnpReportShape = {},
  crl: Uint8Array | null = CRL,
): AppraiseSnpResult {
  const parsed = parseSnpReport(platform.report(shape));
  if (!parsed.ok) throw new Error(parsed.failed.detail);
  const isVlek = shape.signer === platform.vlek;
  const certificates = isVlek ? [platform.vlekDer, platform.asvkDer] : [platform.vcekDer, platform.askDer];
  const verified = verifySnpReport(
    parsed.report,
    { certificates, ...(crl === null ? {} : { revocationList: crl }) },
    { now: SNP_NOW, trustAnchors: [platform.trustAnchor] },
  );
  if (!verified.ok) throw new Error(verified.failed.detail);
  return appraiseSnp(verified.report, policy);
}

const guest = (bits: bigint): SnpReportShape => ({ fields: { policy: u64(0x20000n | bits) } });
const vlek: SnpReportShape = { signer: platform.vlek, fields: { keyInfo: SIGNED_WITH_VLEK } };
const SMT = 1n << 16n;

describe('appraiseSnp', () => {
  it('accepts the default report under the strict policy plus its minimum, and lists every check', () => {
    const result = decide(dev);
    if (!result.ok) throw new Error(result.failed.detail);
    expect(result.checks.map((check) => check.name)).toEqual([...SNP_APPRAISE_CHECKS]);
    const skipped = result.checks.filter((check) => check.outcome === 'skipped').map((check) => check.name);
    expect(skipped).toEqual(['policy.guest-svn', 'policy.references', 'policy.host-data', 'policy.report-data']);
    expect(result.evidence.unsafe).toEqual(['unsafeTrustAnchorAccepted']);
    expect(toHex(result.evidence.deviceId ?? new Uint8Array())).toBe(toHex(hashBytes('sha256', CHIP_ID)));
  });

  it('the empty policy refuses another root first, and then the want of minimum levels', () => {
    expect(decide({})).toMatchObject({
      ok: false,
      code: 'POLICY_TRUST_ANCHOR',
      failed: { name: 'policy.trust-anchor' },
    });
    const { minimumTcb: _, ...none } = dev;
    expect(decide(none)).toMatchObject({
      ok: false,
      code: 'POLICY_TCB_TOO_OLD',
      failed: { name: 'policy.tcb-minimum' },
    });
    const result = decide({ ...none, unsafeMinimumTcbNotRequired: true });
    expect(result.ok && result.evidence.unsafe).toEqual(['unsafeMinimumTcbNotRequired', 'unsafeTrustAnchorAccepted']);
  });

  it('minimums of other product lines do not speak of this one, weakened or not', () => {
    const policy = { ...dev, minimumTcb: { Genoa: MINIMUM }, unsafeMinimumTcbNotRequired: true } as const;
    expect(decide(policy)).toMatchObject({ ok: false, failed: { name: 'policy.tcb-minimum' } });
  });

  it.each(['bootloader', 'tee', 'snp', 'microcode'] as const)('a %s level below the minimum refuses', (part) => {
    const higher = { ...MINIMUM, [part]: MINIMUM[part] + 1 };
    expect(decide({ ...dev, minimumTcb: { Milan: higher } })).toMatchObject({
      ok: false,
      code: 'POLICY_TCB_TOO_OLD',
      failed: { detail: expect.stringContaining(part) },
    });
    const lower = { ...MINIMUM, [part]: MINIMUM[part] - 1 };
    expect(decide({ ...dev, minimumTcb: { Milan: lower } }).ok).toBe(true);
  });

  it.each<[string, SnpReportShape, SnpAppraisalPolicy]>([
    [
      'policy.tcb-status',
      { fields: { launchTcb: tcbBytes([3, 1, 23, 213]) } },
      { unsafeAcceptedStatuses: ['OutOfDate'] },
    ],
    ['policy.debug', guest(SMT | (1n << 19n)), { unsafeDebugAccepted: true }],
    ['policy.migration-agent', guest(SMT | (1n << 18n)), { unsafeMigrationAgentAccepted: true }],
    ['policy.vmpl', { fields: { vmpl: new Uint8Array([2]) } }, { unsafeAcceptedVmpls: [2] }],
    ['policy.signing-key', vlek, { unsafeVlekProviders: ['cloud.example'] }],
  ])('%s refuses by default and yields to the named weakening only', (name, shape, weakening) => {
    expect(decide(dev, shape)).toMatchObject({ ok: false, failed: { name } });
    const result = decide({ ...dev, ...weakening }, shape);
    expect(result.ok && result.evidence.unsafe).toEqual(
      [...Object.keys(weakening), 'unsafeTrustAnchorAccepted'].sort(),
    );
    expect(result.checks.find((check) => check.name === name)?.detail).toContain(`by ${Object.keys(weakening)[0]}`);
  });

  it('policy.revocation: an unchecked signing key refuses, unless named unsafe', () => {
    expect(decide(dev, {}, null)).toMatchObject({ ok: false, code: 'POLICY_REVOCATION' });
    const result = decide({ ...dev, unsafeRevocationUnchecked: true }, {}, null);
    expect(result.ok && result.evidence.unsafe).toContain('unsafeRevocationUnchecked');
  });

  it.each<[string, SnpReportShape, SnpAppraisalPolicy]>([
    ['another provider', vlek, { unsafeVlekProviders: ['other.example'] }],
    ['another privilege level', { fields: { vmpl: new Uint8Array([2]) } }, { unsafeAcceptedVmpls: [1, 3] }],
    ['the host’s own report', { fields: { vmpl: new Uint8Array([255, 255, 255, 255]) } }, { unsafeAcceptedVmpls: [1] }],
  ])('a weakening speaks of what it names: %s', (_what, shape, weakening) => {
    expect(decide({ ...dev, ...weakening }, shape).ok).toBe(false);
  });

  it('a masked chip id under a VLEK gives no device id', () => {
    const shape = { ...vlek, fields: { ...vlek.fields, chipId: new Uint8Array(64) } };
    const result = decide({ ...dev, unsafeVlekProviders: ['cloud.example'] }, shape);
    expect(result.ok && result.evidence.deviceId).toBeNull();
  });

  it.each<[string, SnpReportShape]>([
    ['policy.guest-policy', guest(SMT | (1n << 26n))],
    ['policy.guest-policy', guest(SMT | (1n << 63n))],
    ['policy.smt', guest(0n)],
    ['policy.platform', guest(SMT | (1n << 23n))],
    ['policy.platform', guest(SMT | (1n << 24n))],
    ['policy.platform', { fields: { platformInfo: u64(0x65n) } }],
  ])('%s refuses, and no weakening covers it', (name, shape) => {
    const everything: SnpAppraisalPolicy = {
      ...dev,
      unsafeAcceptedStatuses: ['OutOfDate'],
      unsafeDebugAccepted: true,
      unsafeMigrationAgentAccepted: true,
      unsafeAcceptedVmpls: [0, 1, 2, 3],
      unsafeRevocationUnchecked: true,
    };
    expect(decide(everything, shape)).toMatchObject({ ok: false, failed: { name } });
  });

  it('what the guest policy demands of the platform is accepted when it is so', () => {
    const info = (bits: bigint): SnpReportShape['fields'] => ({ platformInfo: u64(bits) });
    expect(decide(dev, { fields: { ...guest(0n).fields, ...info(0x24n) } }).ok).toBe(true);
    expect(decide(dev, { fields: { ...guest(SMT | (1n << 23n)).fields, ...info(0x2dn) } }).ok).toBe(true);
    expect(decide(dev, { fields: { ...guest(SMT | (1n << 24n)).fields, ...info(0x35n) } }).ok).toBe(true);
  });

  it('smt forbidden: the guest policy must forbid it', () => {
    expect(decide({ ...dev, smt: 'forbidden' })).toMatchObject({ ok: false, code: 'POLICY_SMT' });
    const off = { fields: { ...guest(0n).fields, platformInfo: u64(0x24n) } };
    expect(decide({ ...dev, smt: 'forbidden' }, off).ok).toBe(true);
  });

  const value = (sizeBytes: number, byte: number): Uint8Array => new Uint8Array(sizeBytes).fill(byte);
  it.each<[string, SnpAppraisalPolicy, SnpAppraisalPolicy]>([
    ['policy.guest-svn', { minimumGuestSvn: 0 }, { minimumGuestSvn: 1 }],
    ['policy.report-data', { reportData: value(64, 0x42) }, { reportData: value(64, 0x43) }],
    ['policy.report-data', { reportData: value(64, 0x42) }, { reportData: value(32, 0x42) }],
    ['policy.host-data', { hostData: value(32, 0xbb) }, { hostData: value(32, 0) }],
    [
      'policy.references',
      { references: { measurement: [value(48, 0), value(48, 0xaa)] } },
      { references: { measurement: [] } },
    ],
    ['policy.references', { references: { chipId: [CHIP_ID] } }, { references: { chipId: [value(64, 1)] } }],
    ['policy.references', { references: {} }, { references: { idKeyDigest: [value(48, 1)] } }],
    [
      'policy.platform',
      { requiredPlatformStates: ['eccEnabled'] },
      { requiredPlatformStates: ['ciphertextHidingEnabled'] },
    ],
    [
      'policy.platform',
      { requiredPlatformStates: ['aliasCheckComplete'] },
      { requiredPlatformStates: ['tsmeEnabled'] },
    ],
  ])('%s holds or refuses by its value', (name, good, bad) => {
    expect(decide({ ...dev, ...good }).ok).toBe(true);
    expect(decide({ ...dev, ...bad })).toMatchObject({ ok: false, failed: { name } });
  });
});

describe('bindSnpMrConfig', () => {
  /** R12 of the dstack vectors: the document of a real Milan guest, and the HOST_DATA its report carried. */
  const compose = '86e59625be93207bc2351c4d1bba20037cec8e168da6b18f559af5af657b7a23';
  const provider =
    '3059301306072a8648ce3d020106082a8648ce3d0301070342000419b2457dd9b8aa6446d980f136fff7812ecd6c77740eeb0e28b10d56c0c00028a5b6e59dcea307d583bd1f70769e9c116df2bcfb1758a95d8613e7de1c8482c0';
  const document = `{"app_id":"${compose.slice(0, 40)}","compose_hash":"${compose}","instance_id":"d378c00e65112c4235bfeb46c6a0f98fd02145a3","key_provider":"kms","key_provider_id":"${provider}","version":3}`;
  const hostData = Buffer.from('783f0057820acb99249af56cc3b07b4e8d80f65183167cba9cf437bb680f742f', 'hex');

  function bind(text: string, data: Uint8Array = snpHostData(text)) {
    const accepted = decide(dev, { fields: { hostData: data } });
    if (!accepted.ok) throw new Error(accepted.failed.detail);
    return bindSnpMrConfig(accepted.evidence, text);
  }

  it('R12', () => {
    const bound = bind(document, hostData);
    if (!bound.ok) throw new Error(bound.failed.detail);
    expect(toHex(bound.config.composeHash)).toBe(compose);
    expect(bound.config.keyProvider).toBe('kms');
    expect(bound.checks.map((check) => check.outcome)).toEqual(['pass', 'pass', 'pass']);
  });

  it('binds exact bytes: the same document printed in another way is another one', () => {
    expect(bind(JSON.stringify(JSON.parse(document), null, 1), hostData)).toMatchObject({ code: 'MR_CONFIG_MISMATCH' });
    expect(bind(`${document} `, hostData)).toMatchObject({ ok: false, code: 'MR_CONFIG_MISMATCH' });
    expect(bind(`${document} `).ok).toBe(true);
  });

  it('without an app id, and with an empty instance id', () => {
    expect(bind(`{"compose_hash":"${compose}","instance_id":"","key_provider":"none"}`).ok).toBe(true);
  });

  it.each([
    ['an unknown member', document.replace('"app_id"', '"app"'), 'mr-config.format'],
    ['a member twice', document.replace('{', '{"version":3,'), 'mr-config.format'],
    ['no JSON', 'x', 'mr-config.format'],
    ['a short app id', document.replace(/"app_id":"../, '"app_id":"'), 'mr-config.ids'],
    ['a long instance id', document.replace('"instance_id":"', '"instance_id":"00'), 'mr-config.ids'],
  ])('refuses %s, though bound', (_what, text, name) => {
    expect(bind(text)).toMatchObject({ ok: false, code: 'MR_CONFIG_FORMAT', failed: { name } });
  });
});
