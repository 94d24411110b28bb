import { toHex } from '../bytes.js';
import { type Decoded, decode } from '../encodings/decoded.js';
import { Refusal } from '../refusal.js';
import { type AcpiDigests, registerOf, rtmr0Digests, rtmr1Digests, rtmr2Digests } from './boot-digests.js';
import type { TdxImageMeasurement } from './image-measurement.js';
import { usesCommonKernel } from './kernel-patch.js';
import { measureImage, type TdxImage } from './measure-image.js';
import { tdHobDigest } from './td-hob.js';
import type { TdxMachine } from './vm-config.js';

/** Registers of a TD after boot, 48 bytes each, and the digests RTMR 0-2 are extended with, in order. */
export interface TdxBoot {
  readonly mrTd: Uint8Array;
  readonly rtMr0: Uint8Array;
  readonly rtMr1: Uint8Array;
  readonly rtMr2: Uint8Array;
  readonly digests: readonly [readonly Uint8Array[], readonly Uint8Array[], readonly Uint8Array[]];
}

/** What is known of the image: its files, or only its measurement document (dstack's "lite" way). */
export type TdxBootMaterial =
  | { readonly kind: 'image'; readonly image: TdxImage }
  | { readonly kind: 'measurement'; readonly measurement: TdxImageMeasurement };

/**
 * What MRTD and RTMR 0-2 must be for an image on a machine. The ACPI digests depend on QEMU and the devices and come from
 * outside: from a model of them, or from the event log, and then nothing judged the tables. A measurement document holds
 * one kernel digest, so it serves 2 GiB and from 2.75 GiB only. Check `tdx-image.predict`; codes `MEMORY_SIZE`,
 * `TDVF_FORMAT`, `KERNEL_FORMAT`, `PE_FORMAT`.
 */
export function predictTdxBoot(material: TdxBootMaterial, machine: TdxMachine, acpi: AcpiDigests): Decoded<TdxBoot> {
  return decode(
    'tdx-image.predict',
    () => predictBoot(material, machine, acpi),
    ({ mrTd }) => `MRTD ${toHex(mrTd)}`,
  );
}

/** @throws Refusal */
export function predictBoot(material: TdxBootMaterial, machine: TdxMachine, acpi: AcpiDigests): TdxBoot {
  const known = measurementFor(material, machine.memoryBytes);
  const digests = [
    rtmr0Digests(tdHobDigest(known.tdHob, machine.memoryBytes), acpi),
    rtmr1Digests(known.kernelAuthenticode),
    rtmr2Digests(known.commandLineDigest, known.initrdDigest),
  ] as const;
  return {
    mrTd: machine.pageAddOrder === 'two-pass' ? known.mrTd.twoPass : known.mrTd.singlePass,
    rtMr0: registerOf(digests[0]),
    rtMr1: registerOf(digests[1]),
    rtMr2: registerOf(digests[2]),
    digests,
  };
}

function measurementFor(material: TdxBootMaterial, memoryBytes: number): TdxImageMeasurement {
  if (material.kind === 'image') return measureImage(material.image, memoryBytes);
  if (usesCommonKernel(memoryBytes)) return material.measurement;
  throw new Refusal(
    'MEMORY_SIZE',
    `the kernel digest of a TD with ${memoryBytes} bytes of memory is not in the measurement document: 2 GiB, or 2.75 GiB and more`,
  );
}
