import { gzipSync } from 'node:zlib';
import { hashBytes, toHex } from '../bytes.js';
import { RTMR_BYTES } from '../event-log/replay.js';
import { acpiDigests } from '../tdx-image/boot-digests.js';
import { osImageHash } from '../tdx-image/checksum-file.js';
import { writeTdxMeasurement } from '../tdx-image/image-measurement.js';
import { measureTdxImage, type TdxImage } from '../tdx-image/measure-image.js';
import { predictTdxBoot } from '../tdx-image/predict-boot.js';
import { sampleFirmware, sampleKernel } from './sample-image.js';

const MEMORY_BYTES = 4 * 2 ** 30;

/** One entry of a tar archive. */
export interface TarEntry {
  readonly name: string;
  readonly content?: Uint8Array;
  /** Default a regular file. */
  readonly type?: string;
}

export function tar(entries: readonly TarEntry[]): Uint8Array {
  const blocks = entries.flatMap(({ name, content = new Uint8Array(), type = '0' }) => {
    const header = Buffer.alloc(512);
    header.write(name, 0, 100, 'latin1');
    header.write(content.length.toString(8).padStart(11, '0'), 124, 'latin1');
    header.write(type, 156, 'latin1');
    return [header, content, Buffer.alloc((512 - (content.length % 512)) % 512)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

/** A small TDX image, its archive and documents, and what a guest of 4 GiB that booted it shows. */
export class ImageGuest {
  readonly image: TdxImage = {
    firmware: sampleFirmware(),
    kernel: sampleKernel(),
    initrd: new Uint8Array(5000).fill(5),
    commandLine: 'console=ttyS0',
  };
  readonly metadata = Buffer.from(
    JSON.stringify({
      bios: 'ovmf.fd',
      kernel: 'bzImage',
      initrd: 'initramfs.cpio.gz',
      cmdline: this.image.commandLine,
      version: '0.6.0',
      is_dev: false,
    }),
  );
  readonly files: readonly TarEntry[] = [
    { name: 'ovmf.fd', content: this.image.firmware },
    { name: 'bzImage', content: this.image.kernel },
    { name: 'initramfs.cpio.gz', content: this.image.initrd },
    { name: 'metadata.json', content: this.metadata },
  ];
  readonly document = this.measurement();
  readonly checksumFile = Buffer.from(
    [...this.files, { name: 'measurement.tdx.cbor', content: this.document }]
      .map(({ name, content = new Uint8Array() }) => `${toHex(hashBytes('sha256', content))}  ${name}\n`)
      .join(''),
  );
  readonly osImageHash = toHex(osImageHash(this.checksumFile));

  /** mr_<os_image_hash>.tar.gz, with `entries` instead of the genuine ones where given. */
  archive(entries?: readonly TarEntry[]): Uint8Array {
    const genuine = [
      ...this.files,
      { name: './measurement.tdx.cbor', content: this.document },
      { name: 'sha256sum.txt', content: this.checksumFile },
    ];
    return gzipSync(tar(entries ?? genuine));
  }

  vmConfig(withMeasurement: boolean): string {
    const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
    const lite = {
      tdx_attestation_variant: 'lite',
      tdx_measurement: { checksum_file: base64(this.checksumFile), measurement: base64(this.document) },
    };
    const machine = { os_image_hash: this.osImageHash, cpu_count: 2, memory_size: MEMORY_BYTES };
    return JSON.stringify({ ...machine, ...(withMeasurement ? lite : {}) });
  }

  /** Registers after boot, and the log of it as far as its digests go. */
  boot() {
    const acpi = acpiDigests({ loader: bytes(1), rsdp: bytes(2), tables: bytes(3) });
    const machine = { memoryBytes: MEMORY_BYTES, pageAddOrder: 'single-pass' } as const;
    const predicted = predictTdxBoot({ kind: 'image', image: this.image }, machine, acpi);
    if (!predicted.ok) throw new Error(predicted.failed.detail);
    const { mrTd, rtMr0, rtMr1, rtMr2, digests } = predicted.value;
    const isAcpi = (digest: Uint8Array) => Object.values(acpi).some((known) => toHex(known) === toHex(digest));
    const events = digests.flatMap((list, imr) =>
      list.map((digest) => ({
        imr,
        event_type: isAcpi(digest) ? 10 : 1,
        digest: toHex(digest),
        event: '',
        event_payload: isAcpi(digest) ? Buffer.from('ACPI DATA').toString('hex') : '00',
      })),
    );
    return { mrTd, rtMrs: [rtMr0, rtMr1, rtMr2, new Uint8Array(RTMR_BYTES)], events };
  }

  private measurement(): Uint8Array {
    const measured = measureTdxImage(this.image);
    if (!measured.ok) throw new Error(measured.failed.detail);
    return writeTdxMeasurement(measured.value);
  }
}

const bytes = (value: number): Uint8Array => new Uint8Array([value]);
