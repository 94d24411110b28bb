import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseQuote } from '../abi/index.js';
import { type AppraisedEvidence, appraise } from '../appraise/index.js';
import { hashBytes, toHex } from '../bytes.js';
import { Refusal } from '../refusal.js';
import { hex, latin1, sampleBootEvent } from '../testing/sample-attestation.js';
import { sampleFirmware, sampleKernel } from '../testing/sample-image.js';
import { TEST_NOW, TestPlatform } from '../testing/test-platform.js';
import { verifyParsedQuote } from '../verify/index.js';
import { acpiOfLog, appraiseTdxBoot, appraiseTdxLite, TDX_LITE_CHECKS } from './appraise-boot.js';
import { type AcpiDigests, acpiDigests, commandLineDigest, rtmr0Digests, rtmr1Digests } from './boot-digests.js';
import { bindImageFile, osImageHash, readChecksumFile } from './checksum-file.js';
import { readTdxMeasurement, type TdxImageMeasurement, writeTdxMeasurement } from './image-measurement.js';
import { measureTdxImage, type TdxImage } from './measure-image.js';
import { predictTdxBoot, type TdxBoot, type TdxBootMaterial } from './predict-boot.js';
import { readTdHobWitness } from './td-hob-witness.js';
import { pageAddOrderOfQemu, readTdxVmConfig, type TdxMachine } from './vm-config.js';

const GIB = 2 ** 30;

/** R16: parts of a real TDX-lite image and boot (dstack-kms §20.3). */
const R16_ACPI: AcpiDigests = {
  loader: hex('095d04cf26fe03aef6e3561fa24c1aa1cea93f4aeaf563b1f9f7616184c53454875925759434769cec2490acb563a337'),
  rsdp: hex('8d9a4d4777a1bc77ecd9d8d37a4628129a80052a510320159a20a923bd07a0e90d8d1f2e1ebf088992b25f0d0fa672ef'),
  tables: hex('3070721e169bc41884724cb0e6b3082e1baf249083d8b389181ba50b9afa951057876c380b8870e8c2facf2eff67a2b6'),
};
const R16: TdxImageMeasurement = {
  version: 3,
  commandLineDigest: hex(
    '786280842b7364287a3a70d96f7e309252857beb45fb1f91314a2ea863db0adc04c8431ecbf29a966405604631a5aab8',
  ),
  kernelAuthenticode: hex(
    'ac7e632dcf5cd2a1fe5c1f41f4d9b8219570e64ed3c61038fdbf25404e6f542ffd57f276bc5076307efaf882e6d64177',
  ),
  initrdDigest: hex('4fe4f7710134a61d7def357add6ac50bdbfeee5032a4c100375e207216ffe42a3bd5822b24e679f91501fff795b81521'),
  ovmf: 'pre202505',
  mrTd: {
    singlePass: hex('a6f2ac9451810686a4db259fe8fa5438dc4a58bda9fd2f5b1fb0928335705500d29a15c92387416a2f52dddce99c83f8'),
    twoPass: hex('fd685522ce791dfef67414614eb07d03fc07a32c5a66f36288b329dab92b724b1564c73d436ffb9ea84488c51ac5a1c5'),
  },
  tdHob: readTdHobWitness(hex('80100904000609020b021010')),
};
const R16_REGISTERS = {
  mrTd: 'fd685522ce791dfef67414614eb07d03fc07a32c5a66f36288b329dab92b724b1564c73d436ffb9ea84488c51ac5a1c5',
  rtMr0: 'f8438db36b96f85d8752ff7f24a89ec05c79ec9eda2ba732c897fb970ca429365b7471b1c054cb84f17b1c2b23ba6640',
  rtMr1: '2023546e7f3b9d1228e274f70c44d481162540f8452544520a796a52f06879709b81a824a26792a7822327504b0d2aee',
  rtMr2: '4c1b739ed451a637b0f82642e48a5ea83925d23633c72e7385c8e9aca4175e133ed1625b7d92eb39edf509c27ff392dc',
};
const R16_MACHINE: TdxMachine = { memoryBytes: 2 * GIB, pageAddOrder: 'two-pass' };
const R16_CHECKSUMS = latin1(
  '8c9e955f0b577cc8945a891a34ccfa5b8e08bb5e5d249992603e64dd14870e3c  measurement.tdx.cbor\n',
);
const R16_IMAGE_HASH = 'e6f5cfec20c02e7b97baa213d0f718020b55e040172d90ccbcb946d56c8b09db';

function predicted(material: TdxBootMaterial, machine: TdxMachine, acpi: AcpiDigests): TdxBoot {
  const result = predictTdxBoot(material, machine, acpi);
  if (!result.ok) throw new Error(result.failed.detail);
  return result.value;
}

const code = (result: { readonly ok: boolean; readonly code?: string }): string | undefined =>
  result.ok ? 'ok' : result.code;

describe('digests of a boot, as printed', () => {
  const rtmr0 = rtmr0Digests(new Uint8Array(48), R16_ACPI).map(toHex);
  const rtmr1 = rtmr1Digests(new Uint8Array(48)).map(toHex);
  it.each([
    [
      'SecureBoot',
      rtmr0[2],
      '9dc3a1f80bcec915391dcda5ffbb15e7419f77eab462bbf72b42166fb70d50325e37b36f93537a863769bcf9bedae6fb',
    ],
    [
      'PK',
      rtmr0[3],
      '6f2e3cbc14f9def86980f5f66fd85e99d63e69a73014ed8a5633ce56eca5b64b692108c56110e22acadcef58c3250f1b',
    ],
    [
      'KEK',
      rtmr0[4],
      'd607c0efb41c0d757d69bca0615c3a9ac0b1db06c557d992e906c6b7dee40e0e031640c7bfd7bcd35844ef9edeadc6f9',
    ],
    [
      'db',
      rtmr0[5],
      '08a74f8963b337acb6c93682f934496373679dd26af1089cb4eaf0c30cf260a12e814856385ab8843e56a9acea19e127',
    ],
    [
      'dbx',
      rtmr0[6],
      '18cc6e01f0c6ea99aa23f8a280423e94ad81d96d0aeb5180504fc0f7a40cb3619dd39bd6a95ec1680a86ed6ab0f9828d',
    ],
    [
      'separator',
      rtmr0[7],
      '394341b7182cd227c5c6b07ef8000cdfd86136c4292b8e576573ad7ed9ae41019f5818b4b971c9effc60e1ad9f1289f0',
    ],
    [
      'BootOrder',
      rtmr0[11],
      '1dd6f7b457ad880d840d41c961283bab688e94e4b59359ea45686581e90feccea3c624b1226113f824f315eb60ae0a7c',
    ],
    [
      'calling',
      rtmr1[1],
      '77a0dab2312b4e1e57a84d865a21e5b2ee8d677a21012ada819d0a98988078d3d740f6346bfe0abaa938ca20439a8d71',
    ],
    [
      'separator again',
      rtmr1[2],
      '394341b7182cd227c5c6b07ef8000cdfd86136c4292b8e576573ad7ed9ae41019f5818b4b971c9effc60e1ad9f1289f0',
    ],
    [
      'exit invocation',
      rtmr1[3],
      '214b0bef1379756011344877743fdc2a5382bac6e70362d624ccf3f654407c1b4badf7d8f9295dd3dabdef65b27677e0',
    ],
    [
      'exit success',
      rtmr1[4],
      '0a2e01c85deae718a530ad8c6d20a84009babe6c8989269e950d8cf440c6e997695e64d455c4174a652cd080f6230b74',
    ],
  ])('%s', (_name, digest, expected) => {
    expect(digest).toBe(expected);
  });
});

describe('R16: a real boot from its measurement document', () => {
  it('all four registers', () => {
    const boot = predicted({ kind: 'measurement', measurement: R16 }, R16_MACHINE, R16_ACPI);
    const { mrTd, rtMr0, rtMr1, rtMr2 } = boot;
    expect({ mrTd: toHex(mrTd), rtMr0: toHex(rtMr0), rtMr1: toHex(rtMr1), rtMr2: toHex(rtMr2) }).toEqual(R16_REGISTERS);
  });

  it('the document, its line in sha256sum.txt and the OS image hash', () => {
    const document = writeTdxMeasurement(R16);
    expect(readTdxMeasurement(document)).toMatchObject({ ok: true, value: R16 });
    expect(toHex(osImageHash(R16_CHECKSUMS))).toBe(R16_IMAGE_HASH);
    const image = { osImageHash: hex(R16_IMAGE_HASH), checksumFile: R16_CHECKSUMS };
    bindImageFile(image, 'measurement.tdx.cbor', document);
    expect(() => bindImageFile(image, 'measurement.tdx.cbor', document.with(50, 1))).toThrow(Refusal);
    expect(() => bindImageFile(image, 'measurement.snp.cbor', document)).toThrow(Refusal);
    expect(() =>
      bindImageFile({ ...image, osImageHash: new Uint8Array(32) }, 'measurement.tdx.cbor', document),
    ).toThrow(Refusal);
  });

  it.each<readonly [string, Partial<TdxImageMeasurement>, Partial<TdxMachine>, Partial<AcpiDigests>, string]>([
    ['the order of page adds', {}, { pageAddOrder: 'single-pass' }, {}, 'mrTd'],
    ['memory', {}, { memoryBytes: 4 * GIB }, {}, 'rtMr0'],
    ['an ACPI digest', {}, {}, { tables: R16_ACPI.rsdp }, 'rtMr0'],
    ['the kernel', { kernelAuthenticode: new Uint8Array(48) }, {}, {}, 'rtMr1'],
    ['the command line', { commandLineDigest: new Uint8Array(48) }, {}, {}, 'rtMr2'],
    ['the initrd', { initrdDigest: new Uint8Array(48) }, {}, {}, 'rtMr2'],
  ])('%s changes its register only', (_what, measurement, machine, acpi, register) => {
    const boot = predicted(
      { kind: 'measurement', measurement: { ...R16, ...measurement } },
      { ...R16_MACHINE, ...machine },
      { ...R16_ACPI, ...acpi },
    );
    for (const name of ['mrTd', 'rtMr0', 'rtMr1', 'rtMr2'] as const) {
      expect(toHex(boot[name]) === R16_REGISTERS[name]).toBe(name !== register);
    }
  });

  it('memory sizes that need another kernel digest are refused', () => {
    for (const memoryBytes of [GIB, 2 * GIB - 4096, 2 * GIB + 4096, 0xb0000000 - 4096]) {
      const machine = { ...R16_MACHINE, memoryBytes };
      expect(code(predictTdxBoot({ kind: 'measurement', measurement: R16 }, machine, R16_ACPI))).toBe('MEMORY_SIZE');
    }
    expect(
      code(
        predictTdxBoot(
          { kind: 'measurement', measurement: R16 },
          { ...R16_MACHINE, memoryBytes: 0xb0000000 },
          R16_ACPI,
        ),
      ),
    ).toBe('ok');
  });
});

describe('measurement.tdx.cbor', () => {
  const document = writeTdxMeasurement(R16);
  const read = (bytes: Uint8Array): string | undefined => code(readTdxMeasurement(bytes));
  const edited = (from: string, to: string): Uint8Array => {
    const text = toHex(document);
    expect(text).toContain(from);
    return hex(text.replace(from, to));
  };
  const key = (name: string): string => toHex(latin1(name));

  it('version 2, without a version', () => {
    const old = { ...R16, version: 2 } as const;
    expect(writeTdxMeasurement(old)[0]).toBe(0xa2);
    expect(readTdxMeasurement(writeTdxMeasurement(old))).toMatchObject({ ok: true, value: old });
  });

  it.each<readonly [string, () => Uint8Array]>([
    ['another version', () => edited(`${key('version')}03`, `${key('version')}04`)],
    ['a version that is not minimal', () => edited(`${key('version')}03`, `${key('version')}1803`)],
    ['an unknown member', () => edited(key('version'), key('versiom'))],
    ['a member twice', () => edited(`a367${key('version')}03`, `a467${key('version')}0367${key('version')}03`)],
    ['a missing member', () => edited(`a367${key('version')}03`, `a167${key('version')}03`)],
    ['a digest of 47 bytes', () => edited('5830a6f2', '582fa6f2')],
    ['another firmware layout', () => edited(key('pre202505'), key('pre202506'))],
    ['an indefinite map', () => edited('a367', 'bf67')],
    ['trailing bytes', () => hex(`${toHex(document)}00`)],
    ['a cut', () => document.subarray(0, -1)],
    ['nothing', () => new Uint8Array()],
    ['64 KiB and more', () => new Uint8Array(65_537)],
  ])('refuses %s', (_name, bytes) => {
    expect(read(bytes())).toBe('TDX_MEASUREMENT_FORMAT');
  });

  it('damaged documents never throw, and accepted ones are written as they were', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(255), fc.nat(), (at, value, cut) => {
        const bytes = document.with(at % document.length, value);
        const result = readTdxMeasurement(bytes);
        if (result.ok) expect(toHex(writeTdxMeasurement(result.value))).toBe(toHex(bytes));
        readTdxMeasurement(bytes.subarray(0, cut % bytes.length));
      }),
      { numRuns: 2000 },
    );
  });
});

describe('sha256sum.txt', () => {
  it('lists names in two columns, in text or binary form', () => {
    const line = `${'ab'.repeat(32)}  a b\n\n${'CD'.repeat(32)} *c\n`;
    expect(readChecksumFile(latin1(line)).map(({ name }) => name)).toEqual(['a', '*c']);
  });

  it('must list a file once', () => {
    const content = latin1('x');
    const line = `${toHex(hashBytes('sha256', content))}  f\n`;
    const bind = (text: string): void =>
      bindImageFile({ osImageHash: osImageHash(latin1(text)), checksumFile: latin1(text) }, 'f', content);
    bind(line);
    for (const text of [
      line + line,
      '',
      line.replace('f\n', 'g\n'),
      'zz  f\n',
      `${line}\nshort f\n`,
      `${'ab'.repeat(32)}\n`,
    ]) {
      expect(() => bind(text)).toThrow(Refusal);
    }
    expect(() => readChecksumFile(new Uint8Array(65_537))).toThrow(Refusal);
    expect(() => readChecksumFile(latin1(line.repeat(257)))).toThrow(Refusal);
  });
});

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
