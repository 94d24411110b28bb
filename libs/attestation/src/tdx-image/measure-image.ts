import { toHex } from '../bytes.js';
import { type Decoded, decode } from '../encodings/decoded.js';
import { authenticode } from './authenticode.js';
import { commandLineDigest, initrdDigest } from './boot-digests.js';
import type { TdxImageMeasurement } from './image-measurement.js';
import { patchKernel } from './kernel-patch.js';
import { tdvfMrtd } from './mrtd.js';
import { HIGH_MEMORY_SPLIT, tdHobLayout } from './td-hob.js';
import { readTdvf } from './tdvf.js';

/** The files of an OS image that are measured, and the command line of its metadata. */
export interface TdxImage {
  readonly firmware: Uint8Array;
  readonly kernel: Uint8Array;
  readonly initrd: Uint8Array;
  readonly commandLine: string;
}

/**
 * What `measurement.tdx.cbor` says of an image. Check `tdx-image.measure`; codes `TDVF_FORMAT`, `KERNEL_FORMAT`,
 * `PE_FORMAT`, `MEMORY_SIZE`.
 */
export function measureTdxImage(image: TdxImage): Decoded<TdxImageMeasurement> {
  return decode(
    'tdx-image.measure',
    () => measureImage(image, HIGH_MEMORY_SPLIT),
    ({ kernelAuthenticode }) => `kernel ${toHex(kernelAuthenticode)}`,
  );
}

/** The same with the kernel as QEMU patches it for this memory, in bytes. @throws Refusal */
export function measureImage(image: TdxImage, memoryBytes: number): TdxImageMeasurement {
  const tdvf = readTdvf(image.firmware);
  return {
    version: 3,
    commandLineDigest: commandLineDigest(image.commandLine),
    kernelAuthenticode: authenticode(patchKernel(image.kernel, image.initrd.length, memoryBytes)),
    initrdDigest: initrdDigest(image.initrd),
    ovmf: 'pre202505',
    mrTd: { singlePass: tdvfMrtd(tdvf, 'single-pass'), twoPass: tdvfMrtd(tdvf, 'two-pass') },
    tdHob: tdHobLayout(tdvf),
  };
}
