import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hashBytes, toHex } from '../bytes.js';
import { Refusal } from '../refusal.js';
import { R16, R16_ACPI, R16_CHECKSUMS, R16_IMAGE_HASH, R16_MACHINE, R16_REGISTERS } from '../testing/r16-image.js';
import { hex, latin1 } from '../testing/sample-attestation.js';
import { type AcpiDigests, rtmr0Digests, rtmr1Digests } from './boot-digests.js';
import { bindImageFile, osImageHash, readChecksumFile } from './checksum-file.js';
import { readTdxMeasurement, type TdxImageMeasurement, writeTdxMeasurement } from './image-measurement.js';
import { predictTdxBoot, type TdxBoot, type TdxBootMaterial } from './predict-boot.js';
import { type TdxMachine } from './vm-config.js';

const GIB = 2 ** 30;

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
