import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concatBytes, hashBytes, toHex } from '../../bytes.js';
import { SNP_NOW, TestSnpPlatform } from '../../testing/test-snp-platform.js';
import { type AppraisedSnpEvidence, appraiseSnp } from '../appraise-report.js';
import { parseSnpReport } from '../parse-report.js';
import { verifySnpReport } from '../verify-report.js';
import { hashTablePage } from './hash-table.js';
import { PAGE_TYPE, updateLaunchDigest } from './launch-context.js';
import { type SnpVmShape, snpLaunchDigest } from './launch-digest.js';
import { readSnpMeasurement, type SnpMeasurement, writeSnpMeasurement } from './measurement.js';
import { vcpuSignature } from './vcpu-type.js';
import { type SnpLaunchInput, verifySnpLaunch } from './verify-launch.js';

/** R11 of the dstack vectors. */
const MEASUREMENT: SnpMeasurement = {
  cmdline: `console=ttyS0 dstack.rootfs_hash=${'33'.repeat(32)}`,
  ovmfHash: new Uint8Array(48).fill(0x44),
  kernelHash: new Uint8Array(32).fill(0x55),
  initrdHash: new Uint8Array(32).fill(0x66),
  hashesTableGpa: 0x801000,
  resetEip: 0xfffffff0,
  ovmfSections: [
    { gpa: 0x100000, size: 0x2000, type: 1 },
    { gpa: 0x800000, size: 0x1000, type: 0x10 },
    { gpa: 0x810000, size: 0x1000, type: 2 },
    { gpa: 0x820000, size: 0x1000, type: 3 },
  ],
};
const SHAPE: SnpVmShape = { vcpus: 2, vcpuType: 'epyc-v4', guestFeatures: 1n };
const R11 = '88b48404819692fd2a5068f1a07bf1973bbcaa1314adc670705f9388762a759faf889f8e2c71fe1ec892554415257960';

function digest(measurement: Partial<SnpMeasurement> = {}, shape: Partial<SnpVmShape> = {}): string {
  return toHex(snpLaunchDigest({ ...MEASUREMENT, ...measurement }, { ...SHAPE, ...shape }));
}

describe('launch digest', () => {
  it('R10: one step', () => {
    const step = updateLaunchDigest(
      new Uint8Array(48),
      PAGE_TYPE.normal,
      0x1000n,
      hashBytes('sha384', Buffer.from('page')),
    );
    expect(toHex(step)).toBe(
      '3ebc1a70acc0bae5ae2788fae29a0371f983b19a68faf9843064f36040f58571ce5bb6bcdc9c361087073f8cffd92635',
    );
  });

  it('R11: a whole launch', () => {
    expect(digest()).toBe(R11);
  });

  it('white space around the command line and the case of the processor type do not count', () => {
    expect(digest({ cmdline: ` ${MEASUREMENT.cmdline}\n` }, { vcpuType: 'EPYC-v4' })).toBe(R11);
  });

  const [memory, hashes, secrets, cpuid] = MEASUREMENT.ovmfSections;
  if (memory === undefined || hashes === undefined || secrets === undefined || cpuid === undefined) throw new Error();
  it.each<[string, Partial<SnpMeasurement>, Partial<SnpVmShape>]>([
    ['the firmware', { ovmfHash: new Uint8Array(48) }, {}],
    ['the kernel', { kernelHash: new Uint8Array(32) }, {}],
    ['the initial ramdisk', { initrdHash: new Uint8Array(32) }, {}],
    ['no initial ramdisk', { initrdHash: new Uint8Array() }, {}],
    ['the command line', { cmdline: `${MEASUREMENT.cmdline} x` }, {}],
    ['the place of the hashes', { hashesTableGpa: 0x801010 }, {}],
    ['the reset address', { resetEip: 0x80b004 }, {}],
    ['the order of sections', { ovmfSections: [hashes, memory, secrets, cpuid] }, {}],
    ['a section less', { ovmfSections: [memory, hashes, secrets] }, {}],
    ['a longer section', { ovmfSections: [{ ...memory, size: 0x3000 }, hashes, secrets, cpuid] }, {}],
    ['processors', {}, { vcpus: 1 }],
    ['their type', {}, { vcpuType: 'epyc-milan' }],
    ['guest features', {}, { guestFeatures: 0x21n }],
  ])('depends on %s', (_what, measurement, shape) => {
    expect(digest(measurement, shape)).not.toBe(R11);
  });

  it('a service module’s area is measured as zero pages', () => {
    expect(digest({ ovmfSections: [{ ...memory, type: 4 }, hashes, secrets, cpuid] })).toBe(R11);
  });

  it('no initial ramdisk is the hash of nothing', () => {
    expect(digest({ initrdHash: new Uint8Array() })).toBe(digest({ initrdHash: hashBytes('sha256') }));
  });

  it.each<[string, Partial<SnpMeasurement>, Partial<SnpVmShape>]>([
    ['no processors', {}, { vcpus: 0 }],
    ['513 processors', {}, { vcpus: 513 }],
    ['half a processor', {}, { vcpus: 1.5 }],
    ['no guest features', {}, { guestFeatures: 0n }],
    ['an unknown processor', {}, { vcpuType: 'epyc-turin' }],
    ['a name that only starts like one', {}, { vcpuType: 'epyc-v4x' }],
    ['no root file system hash', { cmdline: 'console=ttyS0' }, {}],
    ['a short root file system hash', { cmdline: `dstack.rootfs_hash=${'33'.repeat(31)}` }, {}],
    ['a root file system hash under another name', { cmdline: `xdstack.rootfs_hash=${'33'.repeat(32)}` }, {}],
    ['a short firmware digest', { ovmfHash: new Uint8Array(47) }, {}],
    ['a short kernel hash', { kernelHash: new Uint8Array(31) }, {}],
    ['an unknown section', { ovmfSections: [hashes, { ...memory, type: 9 }] }, {}],
    ['65 sections', { ovmfSections: new Array(65).fill(hashes) }, {}],
    ['too many pages', { ovmfSections: [hashes, { ...memory, size: 0xffffffff }] }, {}],
    ['no page of kernel hashes', { ovmfSections: [memory, secrets, cpuid] }, {}],
  ])('refuses %s', (_what, measurement, shape) => {
    expect(() => digest(measurement, shape)).toThrow(expect.objectContaining({ code: 'SNP_LAUNCH' }));
  });

  it('the hash table stands alone in its page', () => {
    const page = hashTablePage(MEASUREMENT, 0x123);
    expect(page.subarray(0, 0x123).every((byte) => byte === 0)).toBe(true);
    expect(page.subarray(0x123 + 168).every((byte) => byte === 0)).toBe(true);
    expect(toHex(page.subarray(0x123, 0x123 + 18))).toBe('06d63894224fc94cb479a793d411fd21a800');
    expect(() => hashTablePage(MEASUREMENT, 4096 - 167)).toThrow(RangeError);
  });

  it.each([
    ['EPYC', 0x800f12],
    ['EPYC-v4', 0x800f12],
    ['EPYC-IBPB', 0x800f12],
    ['EPYC-Rome-v2', 0x830f10],
    ['EPYC-Milan', 0xa00f11],
    ['EPYC-Genoa-v1', 0xa10f10],
    ['EPYC-v5', undefined],
    ['host', undefined],
  ])('signature of %s', (type, signature) => {
    expect(vcpuSignature(type)).toBe(signature);
  });
});

describe('measurement.snp.cbor', () => {
  const bytes = writeSnpMeasurement(MEASUREMENT);
  const edit = (from: string, to: string): Uint8Array => {
    const text = Buffer.from(bytes).toString('latin1');
    expect(text).toContain(from);
    return Buffer.from(text.replace(from, to), 'latin1');
  };
  const code = (input: Uint8Array): string => {
    const result = readSnpMeasurement(input);
    return result.ok ? 'ok' : result.code;
  };

  it('reads what it writes', () => {
    expect(readSnpMeasurement(bytes)).toMatchObject({ ok: true, value: MEASUREMENT });
  });

  it.each<[string, Uint8Array]>([
    ['nothing', new Uint8Array()],
    ['another version', edit('version\x03', 'version\x02')],
    ['an unknown field', edit('reset_eip', 'reset_eiq')],
    ['a field less', edit('\xa8', '\xa7')],
    ['a section with an unknown field', edit('dsize', 'dsizf')],
    ['too many sections', edit('ovmf_sections\x84', 'ovmf_sections\x98\x41')],
    ['trailing bytes', concatBytes(bytes, new Uint8Array(1))],
    ['a long document', concatBytes(bytes, new Uint8Array(70_000))],
  ])('refuses %s', (_what, input) => {
    expect(code(input)).toBe('SNP_MEASUREMENT_FORMAT');
  });

  it('property: any bytes and any edit are a result, never an exception', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (input) => {
        expect(code(input)).toBe('SNP_MEASUREMENT_FORMAT');
      }),
    );
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(255), (at, value) => {
        expect(['ok', 'SNP_MEASUREMENT_FORMAT']).toContain(code(bytes.with(at, value)));
      }),
    );
  });
});

describe('verifySnpLaunch', () => {
  const platform = new TestSnpPlatform();
  const listed = (hash: string): string => `${hash}  measurement.snp.cbor\n`;
  const CHECKSUMS = checksumsOf(writeSnpMeasurement(MEASUREMENT));
  function checksumsOf(file: Uint8Array): string {
    return `${'00'.repeat(32)}  ovmf.fd\n${listed(toHex(hashBytes('sha256', file)))}`;
  }
  const accepted = accept(R11);

  function accept(measurement: string): AppraisedSnpEvidence {
    const parsed = parseSnpReport(platform.report({ fields: { measurement: Buffer.from(measurement, 'hex') } }));
    if (!parsed.ok) throw new Error(parsed.failed.detail);
    const certificates = [platform.vcekDer, platform.askDer];
    const verified = verifySnpReport(
      parsed.report,
      { certificates },
      { now: SNP_NOW, trustAnchors: [platform.trustAnchor] },
    );
    if (!verified.ok) throw new Error(verified.failed.detail);
    const appraised = appraiseSnp(verified.report, {
      unsafeTrustAnchorAccepted: true,
      unsafeRevocationUnchecked: true,
      unsafeMinimumTcbNotRequired: true,
    });
    if (!appraised.ok) throw new Error(appraised.failed.detail);
    return appraised.evidence;
  }

  function input(changes: {
    readonly document?: object;
    readonly checksums?: string;
    readonly file?: Uint8Array;
  }): SnpLaunchInput {
    const file = changes.file ?? writeSnpMeasurement(MEASUREMENT);
    const checksums = Buffer.from(changes.checksums ?? checksumsOf(file));
    const document = {
      checksum_file: checksums.toString('base64'),
      measurement: Buffer.from(file).toString('base64'),
      vcpus: 2,
      vcpu_type: 'EPYC-v4',
      guest_features: 1,
      ...changes.document,
    };
    return {
      document: JSON.stringify(document),
      osImageHash: hashBytes('sha256', checksums),
    };
  }

  it('proves the launch', () => {
    const result = verifySnpLaunch(accepted, input({}));
    if (!result.ok) throw new Error(result.failed.detail);
    expect(result.launch).toEqual({
      shape: { vcpus: 2, vcpuType: 'EPYC-v4', guestFeatures: 1n },
      cmdline: MEASUREMENT.cmdline,
    });
    expect(result.checks.map((check) => check.outcome)).toEqual(['pass', 'pass', 'pass']);
  });

  it.each<[string, SnpLaunchInput, string, string]>([
    ['an unknown field', input({ document: { extra: 1 } }), 'launch.document', 'SNP_DOCUMENT'],
    ['no processors', input({ document: { vcpus: 0 } }), 'launch.document', 'SNP_DOCUMENT'],
    ['no guest features', input({ document: { guest_features: 0 } }), 'launch.document', 'SNP_DOCUMENT'],
    ['unpadded base64', input({ document: { measurement: 'AA' } }), 'launch.document', 'SNP_DOCUMENT'],
    ['no JSON', { ...input({}), document: '{' }, 'launch.document', 'SNP_DOCUMENT'],
    ['a long document', { ...input({}), document: ' '.repeat(300_000) }, 'launch.document', 'SNP_DOCUMENT'],
    ['another image', { ...input({}), osImageHash: new Uint8Array(32) }, 'launch.os-image', 'OS_IMAGE_HASH'],
    ['a file that is not listed', input({ checksums: 'x' }), 'launch.os-image', 'CHECKSUM_FILE'],
    ['a file listed twice', input({ checksums: CHECKSUMS + CHECKSUMS }), 'launch.os-image', 'CHECKSUM_FILE'],
    ['another file', input({ checksums: listed('11'.repeat(32)) }), 'launch.os-image', 'CHECKSUM_FILE'],
    ['no CBOR', input({ file: Buffer.from('no CBOR') }), 'launch.measurement', 'SNP_MEASUREMENT_FORMAT'],
    ['an unknown processor', input({ document: { vcpu_type: 'x' } }), 'launch.measurement', 'SNP_LAUNCH'],
    ['another shape', input({ document: { vcpus: 3 } }), 'launch.measurement', 'SNP_LAUNCH_MISMATCH'],
  ])('refuses %s', (_what, launch, name, code) => {
    expect(verifySnpLaunch(accepted, launch)).toMatchObject({ ok: false, code, failed: { name } });
  });

  it('refuses a report of another launch', () => {
    expect(verifySnpLaunch(accept('aa'.repeat(48)), input({}))).toMatchObject({ code: 'SNP_LAUNCH_MISMATCH' });
  });
});
