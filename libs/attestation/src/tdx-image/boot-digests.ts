import { fromHex, hashBytes } from '../bytes.js';
import { extendRtmr, RTMR_BYTES } from '../event-log/replay.js';
import { guidBytes } from './guid.js';

/** SHA-384 digests of QEMU's ACPI loader script, RSDP and tables, as RTMR 0 takes them. 48 bytes each. */
export interface AcpiDigests {
  readonly loader: Uint8Array;
  readonly rsdp: Uint8Array;
  readonly tables: Uint8Array;
}

const sha384 = (...parts: readonly Uint8Array[]): Uint8Array => hashBytes('sha384', ...parts);
const ascii = (text: string): Uint8Array => Buffer.from(text, 'latin1');
const constant = (hex: string): Uint8Array => fromHex(hex, RTMR_BYTES) ?? new Uint8Array();

const EFI_GLOBAL_VARIABLE = guidBytes('8be4df61-93ca-11d2-aa0d-00e098032b8c');
const IMAGE_SECURITY_DATABASE = guidBytes('d719b2cb-3d3a-4596-a3bc-dad00e67656f');

/** Empty configuration volume of dstack's firmware, and its boot option for the firmware's own menu. */
const CONFIGURATION_VOLUME = constant(
  '344bc51c980ba621aaa00da3ed7436f7d6e549197dfe699515dfa2c6583d95e6412af21c097d473155875ffd561d6790',
);
const BOOT_0000 = constant(
  '23ada07f5261f12f34a0bd8e46760962d6b4d576a416f1fea1c64bc656b1d28eacf7047ae6e967c58fd2a98bfa74c298',
);
const SEPARATOR = sha384(new Uint8Array(4));

/** Digest of an EFI variable that is not set: SHA-384(GUID ‖ name length in characters ‖ 0 ‖ UTF-16LE name). */
function efiVariable(vendor: Uint8Array, name: string): Uint8Array {
  const lengths = Buffer.alloc(16);
  lengths.writeBigUInt64LE(BigInt(name.length));
  return sha384(vendor, lengths, Buffer.from(name, 'utf16le'));
}

/** The 13 digests of RTMR 0 with dstack's firmware before edk2-stable202505, in order (dstack-kms §14.1). */
export function rtmr0Digests(tdHob: Uint8Array, acpi: AcpiDigests): readonly Uint8Array[] {
  return [
    tdHob,
    CONFIGURATION_VOLUME,
    efiVariable(EFI_GLOBAL_VARIABLE, 'SecureBoot'),
    efiVariable(EFI_GLOBAL_VARIABLE, 'PK'),
    efiVariable(EFI_GLOBAL_VARIABLE, 'KEK'),
    efiVariable(IMAGE_SECURITY_DATABASE, 'db'),
    efiVariable(IMAGE_SECURITY_DATABASE, 'dbx'),
    SEPARATOR,
    acpi.loader,
    acpi.rsdp,
    acpi.tables,
    sha384(new Uint8Array(2)), // BootOrder: 0000
    BOOT_0000,
  ];
}

/** The 5 digests of RTMR 1: the kernel, and what the firmware says of starting it. */
export function rtmr1Digests(kernelAuthenticode: Uint8Array): readonly Uint8Array[] {
  return [
    kernelAuthenticode,
    sha384(ascii('Calling EFI Application from Boot Option')),
    SEPARATOR,
    sha384(ascii('Exit Boot Services Invocation')),
    sha384(ascii('Exit Boot Services Returned with Success')),
  ];
}

/** The 2 digests of RTMR 2. */
export function rtmr2Digests(commandLineDigest: Uint8Array, initrdDigest: Uint8Array): readonly Uint8Array[] {
  return [commandLineDigest, initrdDigest];
}

/** Digest of a command line as the kernel's EFI stub measures it: UTF-16LE with firmware's initrd suffix and a NUL. */
export function commandLineDigest(commandLine: string): Uint8Array {
  return sha384(Buffer.from(`${commandLine} initrd=initrd\0`, 'utf16le'));
}

export function initrdDigest(initrd: Uint8Array): Uint8Array {
  return sha384(initrd);
}

/** A register extended with digests of 48 bytes from zero. */
export function registerOf(digests: readonly Uint8Array[]): Uint8Array {
  return digests.reduce(extendRtmr, new Uint8Array(RTMR_BYTES));
}

/** Digests of the three blobs QEMU hands to the firmware. */
export function acpiDigests(blobs: {
  readonly loader: Uint8Array;
  readonly rsdp: Uint8Array;
  readonly tables: Uint8Array;
}): AcpiDigests {
  return { loader: sha384(blobs.loader), rsdp: sha384(blobs.rsdp), tables: sha384(blobs.tables) };
}
