import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toHex } from '../bytes.js';
import { CHIP_ID, LEVELS, TestSnpPlatform, tcbBytes, turinTcbBytes, u64 } from '../testing/test-snp-platform.js';
import { parseSnpReport } from './parse-report.js';
import { productOfCpuid } from './product.js';
import { REPORT_FIELD, type ReportField, reservedRanges, SNP_REPORT_BYTES } from './report-layout.js';
import { partsBelow, readTcbVersion } from './tcb-version.js';

const platform = new TestSnpPlatform();

function offsetOf(field: ReportField): number {
  return REPORT_FIELD[field].offset;
}

describe('parseSnpReport', () => {
  it.each([2, 3, 4, 5])('reads version %i', (version) => {
    const fields = version === 5 ? { launchMitigations: u64(5n), currentMitigations: u64(7n) } : {};
    const parsed = parseSnpReport(platform.report({ version, fields }));
    if (!parsed.ok) throw new Error(parsed.failed.detail);
    const { report } = parsed;
    expect(report).toMatchObject({ version, vmpl: 0, guestSvn: 0, signingKey: 'VCEK', chipKeyMasked: false });
    expect(report.product).toBe(version === 2 ? null : 'Milan');
    expect(report.launchMitigations).toBe(version === 5 ? 5n : null);
    expect(report.currentMitigations).toBe(version === 5 ? 7n : null);
    expect(toHex(report.chipId)).toBe(toHex(CHIP_ID));
    expect(report.currentFirmware).toEqual({ major: 1, minor: 55, build: 29 });
    expect(report.policy).toMatchObject({ smtAllowed: true, debugAllowed: false, reserved: '' });
    expect(report.platformInfo).toMatchObject({ smtEnabled: true, eccEnabled: true, aliasCheckComplete: true });
    expect(parsed.checks).toEqual([{ name: 'report.format', outcome: 'pass', detail: expect.any(String) }]);
  });

  it.each([0, 1, SNP_REPORT_BYTES - 1, SNP_REPORT_BYTES + 1])('refuses %i bytes', (sizeBytes) => {
    expect(parseSnpReport(new Uint8Array(sizeBytes))).toMatchObject({ ok: false, code: 'SNP_SIZE' });
  });

  it.each([
    ['SNP_VERSION', 'version', [1]],
    ['SNP_VERSION', 'version', [6]],
    ['SNP_ALGORITHM', 'signatureAlgorithm', [2]],
    ['SNP_FORMAT', 'policy', [0, 0, 1]],
    ['SNP_FORMAT', 'keyInfo', [0x20]],
    ['SNP_FORMAT', 'keyInfo', [2 << 2]],
    ['SNP_PRODUCT', 'cpuFamily', [0x17]],
    ['SNP_PRODUCT', 'cpuFamily', [0x19, 0x20]],
  ] as const)('%s: %s %j, at its offset', (code, field, value) => {
    const parsed = parseSnpReport(platform.report({ fields: { [field]: new Uint8Array(value) } }));
    expect(parsed).toMatchObject({ ok: false, code, offset: offsetOf(field) });
  });

  it.each([2, 3, 4, 5])('version %i refuses every reserved byte', (version) => {
    const report = platform.report({ version });
    for (const { from, to } of reservedRanges(version)) {
      for (let at = from; at < to; at++) {
        report[at] = 1;
        expect(parseSnpReport(report)).toMatchObject({ ok: false, code: 'SNP_FORMAT', offset: at });
        report[at] = 0;
      }
    }
    expect(parseSnpReport(report).ok).toBe(true);
  });

  it('fields and reserved ranges cover the report without overlap', () => {
    const owners = new Uint8Array(SNP_REPORT_BYTES);
    for (const { offset, sizeBytes } of Object.values(REPORT_FIELD)) {
      for (let at = offset; at < offset + sizeBytes; at++) owners[at] = (owners[at] ?? 0) + 1;
    }
    const numbers = ['signatureR', 'signatureS'] as const;
    const inNumbers = (at: number): boolean =>
      numbers.some((name) => at >= offsetOf(name) && at < offsetOf(name) + REPORT_FIELD[name].sizeBytes);
    const reserved = reservedRanges(5);
    for (let at = 0; at < SNP_REPORT_BYTES; at++) {
      const isReserved = reserved.some(({ from, to }) => at >= from && at < to);
      expect((owners[at] ?? 0) + (isReserved && !inNumbers(at) ? 1 : 0), `byte 0x${at.toString(16)}`).toBe(1);
    }
  });

  it('does not keep the caller’s buffer', () => {
    const bytes = platform.report();
    const parsed = parseSnpReport(bytes);
    bytes.fill(0);
    expect(parsed.ok && parsed.report.measurement[0]).toBe(0xaa);
  });

  it('property: any bytes are a result, never an exception', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 0, maxLength: SNP_REPORT_BYTES + 2 }), (bytes) => {
        expect(parseSnpReport(bytes).ok).toBe(false);
      }),
    );
    const valid = platform.report({ version: 5 });
    fc.assert(
      fc.property(fc.nat(SNP_REPORT_BYTES - 1), fc.nat(255), (at, value) => {
        const bytes = valid.slice();
        bytes[at] = value;
        expect(parseSnpReport(bytes).checks).toHaveLength(1);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('product lines', () => {
  it.each([
    [0x19, 0x00, 'Milan'],
    [0x19, 0x0f, 'Milan'],
    [0x19, 0x10, 'Genoa'],
    [0x19, 0x1f, 'Genoa'],
    [0x19, 0xa0, 'Genoa'],
    [0x19, 0xaf, 'Genoa'],
    [0x1a, 0x00, 'Turin'],
    [0x1a, 0x11, 'Turin'],
    [0x1a, 0x12, undefined],
    [0x19, 0x20, undefined],
    [0x19, 0xb0, undefined],
    [0x17, 0x31, undefined],
  ])('family 0x%s model 0x%s', (family, model, product) => {
    expect(productOfCpuid(family, model)).toBe(product);
  });
});

describe('TCB versions', () => {
  it('reads both layouts', () => {
    expect(readTcbVersion(tcbBytes(LEVELS), 'Milan', 'x')).toEqual({
      fmc: null,
      bootloader: 4,
      tee: 1,
      snp: 23,
      microcode: 213,
    });
    expect(readTcbVersion(turinTcbBytes(7, LEVELS), 'Turin', 'x')).toMatchObject({ fmc: 7, snp: 23, microcode: 213 });
  });

  it('the layout of one product line is refused for the other', () => {
    expect(() => readTcbVersion(tcbBytes(LEVELS), 'Turin', 'x')).toThrow('reserved byte 6');
    expect(() => readTcbVersion(turinTcbBytes(7, LEVELS), 'Genoa', 'x')).toThrow('reserved byte 2');
  });

  it('property: reading loses nothing, and below means one part is lower', () => {
    const part = fc.nat(255);
    fc.assert(
      fc.property(fc.tuple(part, part, part, part), fc.tuple(part, part, part, part), (a, b) => {
        const [left, right] = [readTcbVersion(tcbBytes(a), 'Genoa', 'a'), readTcbVersion(tcbBytes(b), 'Genoa', 'b')];
        expect([left.bootloader, left.tee, left.snp, left.microcode]).toEqual(a);
        expect(partsBelow(left, right).length === 0).toBe(a.every((value, i) => value >= (b[i] ?? 0)));
      }),
    );
  });
});
