import { Refusal } from '../../refusal.js';
import { hashTablePage } from './hash-table.js';
import {
  DIGEST_BYTES,
  PAGE_BYTES,
  PAGE_TYPE,
  type PageType,
  pageDigest,
  updateLaunchDigest,
} from './launch-context.js';
import type { SnpMeasurement } from './measurement.js';
import { BOOT_EIP, SAVE_AREA_ADDRESS, saveAreaPage } from './save-area.js';
import { vcpuSignature } from './vcpu-type.js';

/** Shape of the virtual machine, chosen by the host. */
export interface SnpVmShape {
  /** 1 to 512. */
  readonly vcpus: number;
  /** QEMU CPU model, for example `EPYC-v4`. */
  readonly vcpuType: string;
  /** SEV_FEATURES of the save area; not 0. */
  readonly guestFeatures: bigint;
}

/** Section types of the firmware's SEV metadata (OVMF; 4 is the caller area of a secure service module). */
const SECTION = { memory: 1, secrets: 2, cpuid: 3, serviceModule: 4, kernelHashes: 0x10 } as const;

/** 16 384 pages are 64 MiB: real firmware declares a few hundred, and the input is not yet known to be good. */
const BOUNDS = { vcpus: 512, sections: 64, pages: 16_384 } as const;
const ROOTFS_HASH = /(^|\s)dstack\.rootfs_hash=[0-9a-fA-F]{64}(\s|$)/;
const U64_MAX = 0xffffffffffffffffn;

/**
 * The launch digest (MEASUREMENT of a report) of a dstack guest: firmware digest, pages of the firmware's sections in
 * their order, then the first state of every virtual processor; 48 bytes (dstack-kms §14.3).
 * @throws Refusal `SNP_LAUNCH` when the input is out of bounds
 */
export function snpLaunchDigest(measurement: SnpMeasurement, shape: SnpVmShape): Uint8Array {
  const signature = checkShape(shape);
  checkMeasurement(measurement);
  let digest = measurement.ovmfHash;
  for (const section of measurement.ovmfSections) {
    if (section.type === SECTION.kernelHashes) {
      const page = hashTablePage(measurement, measurement.hashesTableGpa % PAGE_BYTES);
      digest = updateLaunchDigest(digest, PAGE_TYPE.normal, BigInt(section.gpa), pageDigest(page));
      continue;
    }
    const type = pageTypeOf(section.type);
    for (let at = 0; at < section.size; at += PAGE_BYTES) {
      digest = updateLaunchDigest(digest, type, BigInt(section.gpa + at));
      // Secrets and CPUID sections are one page however long they are declared.
      if (type !== PAGE_TYPE.zero) break;
    }
  }
  const processor = (eip: number): Uint8Array => pageDigest(saveAreaPage(eip, signature, shape.guestFeatures));
  const [boot, other] = [processor(BOOT_EIP), processor(measurement.resetEip)];
  for (let i = 0; i < shape.vcpus; i++) {
    digest = updateLaunchDigest(digest, PAGE_TYPE.vmsa, SAVE_AREA_ADDRESS, i === 0 ? boot : other);
  }
  return digest;
}

function pageTypeOf(section: number): PageType {
  if (section === SECTION.secrets) return PAGE_TYPE.secrets;
  if (section === SECTION.cpuid) return PAGE_TYPE.cpuid;
  if (section === SECTION.memory || section === SECTION.serviceModule) return PAGE_TYPE.zero;
  throw refuse(`section type ${section} is not known`);
}

/** CPUID signature of the processors. */
function checkShape({ vcpus, vcpuType, guestFeatures }: SnpVmShape): number {
  if (!Number.isInteger(vcpus) || vcpus < 1 || vcpus > BOUNDS.vcpus) throw refuse(`${vcpus} virtual processors`);
  if (guestFeatures <= 0n || guestFeatures > U64_MAX) throw refuse('the guest features are 0 or more than 64 bits');
  const signature = vcpuSignature(vcpuType);
  if (signature === undefined) throw refuse(`processor type "${vcpuType.slice(0, 80)}" is not known`);
  return signature;
}

function checkMeasurement({ ovmfHash, kernelHash, initrdHash, cmdline, ovmfSections }: SnpMeasurement): void {
  if (ovmfHash.length !== DIGEST_BYTES) throw refuse(`the firmware digest has ${ovmfHash.length} bytes`);
  if (kernelHash.length !== 32) throw refuse(`the kernel hash has ${kernelHash.length} bytes`);
  if (initrdHash.length !== 0 && initrdHash.length !== 32)
    throw refuse(`the initrd hash has ${initrdHash.length} bytes`);
  if (!ROOTFS_HASH.test(cmdline)) throw refuse('the command line has no dstack.rootfs_hash of 32 bytes');
  if (ovmfSections.length > BOUNDS.sections) throw refuse(`${ovmfSections.length} firmware sections`);
  const pages = ovmfSections.reduce((sum, { size }) => sum + Math.ceil(size / PAGE_BYTES), 0);
  if (pages > BOUNDS.pages) throw refuse(`${pages} pages`);
  if (!ovmfSections.some(({ type }) => type === SECTION.kernelHashes))
    throw refuse('no section holds the kernel hashes');
}

function refuse(message: string): Refusal {
  return new Refusal('SNP_LAUNCH', `the launch cannot be computed: ${message}`);
}
