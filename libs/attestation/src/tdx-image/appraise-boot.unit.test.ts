import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseQuote } from '../abi/index.js';
import { type AppraisedEvidence, appraise } from '../appraise/index.js';
import { hashBytes, toHex } from '../bytes.js';
import { Refusal } from '../refusal.js';
import { R16, R16_CHECKSUMS, R16_IMAGE_HASH } from '../testing/r16-image.js';
import { hex, latin1, sampleBootEvent } from '../testing/sample-attestation.js';
import { sampleFirmware, sampleKernel } from '../testing/sample-image.js';
import { TEST_NOW, TestPlatform } from '../testing/test-platform.js';
import { verifyParsedQuote } from '../verify/index.js';
import { acpiOfLog, appraiseTdxBoot, appraiseTdxLite, TDX_LITE_CHECKS } from './appraise-boot.js';
import { type AcpiDigests, acpiDigests, commandLineDigest } from './boot-digests.js';
import { osImageHash } from './checksum-file.js';
import { writeTdxMeasurement } from './image-measurement.js';
import { measureTdxImage, type TdxImage } from './measure-image.js';
import { predictTdxBoot, type TdxBoot, type TdxBootMaterial } from './predict-boot.js';
import { pageAddOrderOfQemu, readTdxVmConfig, type TdxMachine } from './vm-config.js';

const GIB = 2 ** 30;

function predicted(material: TdxBootMaterial, machine: TdxMachine, acpi: AcpiDigests): TdxBoot {
  const result = predictTdxBoot(material, machine, acpi);
  if (!result.ok) throw new Error(result.failed.detail);
  return result.value;
}

const code = (result: { readonly ok: boolean; readonly code?: string }): string | undefined =>
  result.ok ? 'ok' : result.code;

describe('vm_config', () => {
  const base = { os_image_hash: R16_IMAGE_HASH, cpu_count: 2, memory_size: 2 * GIB };
  const read = (changes: Record<string, unknown>) => readTdxVmConfig(JSON.stringify({ ...base, ...changes }));
  const order = (changes: Record<string, unknown>): string => {
    const result = read(changes);
    return result.ok ? result.value.machine.pageAddOrder : result.code;
  };

  it('page order by QEMU version and by the flag with the inverted name', () => {
    expect(order({})).toBe('single-pass');
    expect(order({ qemu_version: '8.2.2' })).toBe('two-pass');
    expect(order({ qemu_version: '9.2.1' })).toBe('single-pass');
    expect(order({ qemu_version: '10.2.0' })).toBe('single-pass');
    expect(order({ qemu_single_pass_add_pages: true, qemu_version: '9.2.1' })).toBe('two-pass');
    expect(order({ qemu_single_pass_add_pages: false, qemu_version: '8.2.2' })).toBe('single-pass');
    for (const version of ['7.2.0', '', 'x8', '0']) expect(order({ qemu_version: version })).toBe('QEMU_UNSUPPORTED');
    expect(pageAddOrderOfQemu('8')).toBe('two-pass');
  });

  it('the documents in it, and members that are ignored', () => {
    const document = { checksum_file: Buffer.from(R16_CHECKSUMS).toString('base64'), measurement: 'AAE=' };
    expect(
      read({ tdx_measurement: document, tdx_attestation_variant: 'lite', num_gpus: 9, spec_version: 1 }),
    ).toMatchObject({
      ok: true,
      value: { attestationVariant: 'lite', tdxMeasurement: { checksumFile: R16_CHECKSUMS, measurement: hex('0001') } },
    });
    expect(read({ tdx_measurement: null })).toMatchObject({ ok: true, value: { tdxMeasurement: null } });
  });

  it.each<readonly [string, Record<string, unknown>]>([
    ['a short OS image hash', { os_image_hash: 'ab' }],
    ['no CPUs', { cpu_count: 0 }],
    ['memory as text', { memory_size: '1' }],
    ['too much memory', { memory_size: 2 ** 47 }],
    ['another variant', { tdx_attestation_variant: 'full' }],
    ['another firmware layout', { ovmf_variant: 'stable202505' }],
    ['base64 that is not canonical', { tdx_measurement: { checksum_file: 'AAE', measurement: '' } }],
    ['a flag that is no boolean', { qemu_single_pass_add_pages: 1 }],
  ])('refuses %s', (_name, changes) => {
    expect(code(read(changes))).toBe('VM_CONFIG_FORMAT');
  });

  it('any text is answered with a value', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        expect(readTdxVmConfig(text).ok).toBe(false);
      }),
    );
  });
});

describe('appraisal of a boot', () => {
  const image: TdxImage = {
    firmware: sampleFirmware(),
    kernel: sampleKernel(),
    initrd: new Uint8Array(5000).fill(5),
    commandLine: 'console=ttyS0',
  };
  const acpi = acpiDigests({ loader: hex('01'), rsdp: hex('02'), tables: hex('03') });
  const events = [acpi.loader, acpi.rsdp, acpi.tables].map((digest) => ({
    ...sampleBootEvent(0, 0, latin1('ACPI DATA')),
    digest,
  }));
  const machine: TdxMachine = { memoryBytes: 4 * GIB, pageAddOrder: 'single-pass' };
  const boot = predicted({ kind: 'image', image }, machine, acpi);
  const simulated = new TestPlatform();

  /** Only the registers matter here; MRTD is where a body of version 4 has it. */
  function evidenceOf(of: TdxBoot): AppraisedEvidence {
    const rtMrs = [of.rtMr0, of.rtMr1, of.rtMr2, new Uint8Array(48)];
    const parsed = parseQuote(simulated.quote({ rtMrs }));
    if (!parsed.ok) throw new Error(parsed.failed.detail);
    const trustAnchors = [simulated.trustAnchor];
    const verified = verifyParsedQuote(parsed.quote, simulated.collateral(), { now: TEST_NOW, trustAnchors });
    if (!verified.ok) throw new Error(verified.failed.detail);
    const result = appraise(verified.quote, { unsafeTrustAnchorAccepted: true });
    if (!result.ok) throw new Error(result.failed.detail);
    const { quote } = result.evidence.verified;
    const report = { ...quote.report, mrTd: of.mrTd };
    return {
      ...result.evidence,
      verified: { ...result.evidence.verified, quote: { ...quote, report } },
    } as AppraisedEvidence;
  }

  const evidence = evidenceOf(boot);
  const material = { kind: 'image', image } as const;
  const measured = measureTdxImage(image);
  if (!measured.ok) throw new Error(measured.failed.detail);
  const document = writeTdxMeasurement(measured.value);
  const checksumFile = latin1(`${toHex(hashBytes('sha256', document))}  measurement.tdx.cbor\n`);
  const vmConfig = (changes: Record<string, unknown> = {}): string =>
    JSON.stringify({
      os_image_hash: toHex(osImageHash(checksumFile)),
      cpu_count: 2,
      memory_size: 4 * GIB,
      tdx_measurement: {
        checksum_file: Buffer.from(checksumFile).toString('base64'),
        measurement: Buffer.from(document).toString('base64'),
      },
      ...changes,
    });

  it('from the files of the image; ACPI tables are reported as not judged', () => {
    const result = appraiseTdxBoot(evidence, { material, machine, events });
    if (!result.ok) throw new Error(result.failed.detail);
    expect(result.acpiJudged).toBe(false);
    expect(result.checks.map(({ outcome }) => outcome)).toEqual([
      'pass',
      'pass',
      'pass',
      'pass',
      'pass',
      'pass',
      'skipped',
    ]);
  });

  it('ACPI tables are judged when they are supplied', () => {
    expect(appraiseTdxBoot(evidence, { material, machine, events, expectedAcpi: acpi })).toMatchObject({
      ok: true,
      acpiJudged: true,
    });
    const other = { ...acpi, tables: acpi.rsdp };
    expect(appraiseTdxBoot(evidence, { material, machine, events, expectedAcpi: other })).toMatchObject({
      ok: false,
      code: 'ACPI_MISMATCH',
      failed: { name: 'tdx-image.acpi' },
    });
  });

  it.each<readonly [string, string, Partial<TdxImage>, Partial<TdxMachine>]>([
    ['another firmware', 'mrtd', { firmware: sampleFirmware().with(0x1800, 9) }, {}],
    ['another order of page adds', 'mrtd', {}, { pageAddOrder: 'two-pass' }],
    ['other memory', 'rtmr0', {}, { memoryBytes: 8 * GIB }],
    ['another kernel', 'rtmr1', { kernel: sampleKernel().with(0x1800, 9) }, {}],
    ['an initrd of another size, which moves the kernel digest', 'rtmr1', { initrd: new Uint8Array(9000) }, {}],
    ['another initrd', 'rtmr2', { initrd: new Uint8Array(5000).fill(6) }, {}],
    ['another command line', 'rtmr2', { commandLine: 'console=ttyS1' }, {}],
  ])('refuses %s at %s', (_what, register, changes, shape) => {
    const result = appraiseTdxBoot(evidence, {
      material: { kind: 'image', image: { ...image, ...changes } },
      machine: { ...machine, ...shape },
      events,
    });
    expect(result).toMatchObject({ ok: false, code: 'TDX_IMAGE_MISMATCH', failed: { name: `tdx-image.${register}` } });
  });

  it('refuses logs without exactly three ACPI events, or with other digests', () => {
    for (const list of [events.slice(1), [...events, ...events.slice(0, 1)], []]) {
      expect(appraiseTdxBoot(evidence, { material, machine, events: list })).toMatchObject({ code: 'ACPI_EVENTS' });
    }
    const swapped = events.toReversed();
    expect(appraiseTdxBoot(evidence, { material, machine, events: swapped })).toMatchObject({
      failed: { name: 'tdx-image.rtmr0' },
    });
    expect(() => acpiOfLog(events.map((event) => ({ ...event, digest: new Uint8Array() })))).toThrow(Refusal);
  });

  it('finds the ACPI events of a log whose boot payloads were left out', () => {
    const bare = events.map((event) => ({ ...event, payload: new Uint8Array() }));
    expect(appraiseTdxBoot(evidence, { material, machine, events: bare }).ok).toBe(true);
  });

  it('from the vm_config of the attestation alone, up to the OS image hash', () => {
    const result = appraiseTdxLite(evidence, vmConfig(), events);
    if (!result.ok) throw new Error(result.failed.detail);
    expect(result.osImageHash).toEqual(osImageHash(checksumFile));
    expect(result.checks.map(({ name }) => name)).toEqual([...TDX_LITE_CHECKS]);
    expect(appraiseTdxLite(evidence, vmConfig(), events, { expectedAcpi: acpi })).toMatchObject({
      ok: true,
      acpiJudged: true,
    });
  });

  it.each<readonly [string, string, Record<string, unknown>]>([
    ['a vm_config that is none', 'VM_CONFIG_FORMAT', { cpu_count: -1 }],
    ['no measurement', 'TDX_MEASUREMENT_MISSING', { tdx_measurement: undefined }],
    ['another OS image hash', 'OS_IMAGE_HASH', { os_image_hash: '00'.repeat(32) }],
    [
      'a measurement of another image',
      'CHECKSUM_FILE',
      {
        tdx_measurement: {
          checksum_file: Buffer.from(checksumFile).toString('base64'),
          measurement: Buffer.from(writeTdxMeasurement(R16)).toString('base64'),
        },
      },
    ],
    ['a lie about memory', 'TDX_IMAGE_MISMATCH', { memory_size: 8 * GIB }],
    ['memory the document does not serve', 'MEMORY_SIZE', { memory_size: GIB }],
  ])('refuses %s with %s', (_what, expected, changes) => {
    expect(code(appraiseTdxLite(evidence, vmConfig(changes), events))).toBe(expected);
  });

  it('measuring refuses files that are no image', () => {
    expect(code(measureTdxImage({ ...image, firmware: new Uint8Array(100) }))).toBe('TDVF_FORMAT');
    expect(code(measureTdxImage({ ...image, kernel: new Uint8Array(100) }))).toBe('KERNEL_FORMAT');
    expect(toHex(commandLineDigest('a'))).toBe(toHex(hashBytes('sha384', Buffer.from('a initrd=initrd\0', 'utf16le'))));
  });
});
