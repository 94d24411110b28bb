import { type Decoded, decode } from '../encodings/decoded.js';
import { type JsonReader, readJson } from '../json-reader.js';
import { Refusal } from '../refusal.js';
import type { PageAddOrder } from './mrtd.js';

/** What the boot measurements of a TD depend on, apart from its image. */
export interface TdxMachine {
  readonly memoryBytes: number;
  readonly pageAddOrder: PageAddOrder;
}

/** The members of dstack's vm_config that TDX measurement needs (dstack-kms §14); others are ignored, as dstack does. */
export interface TdxVmConfig {
  /** 32 bytes. */
  readonly osImageHash: Uint8Array;
  readonly cpuCount: number;
  readonly machine: TdxMachine;
  readonly attestationVariant: 'legacy' | 'lite';
  /** The image's checksum file and TDX measurement, when the image has them. */
  readonly tdxMeasurement: { readonly checksumFile: Uint8Array; readonly measurement: Uint8Array } | null;
}

const CODE = 'VM_CONFIG_FORMAT';
const MAX_CHARS = 1024 * 1024;
const LIMITS = { cpus: 4096, memoryBytes: 2 ** 46 } as const;
/** What dstack assumes where vm_config does not say. */
const DEFAULT_QEMU = '9.1.0';

/** Reads the JSON text of a vm_config. Check `vm-config.format`; codes `VM_CONFIG_FORMAT`, `QEMU_UNSUPPORTED`. */
export function readTdxVmConfig(text: string): Decoded<TdxVmConfig> {
  return decode(
    'vm-config.format',
    () => readVmConfig(text),
    ({ machine }) => `${machine.memoryBytes} bytes of memory, pages added ${machine.pageAddOrder}`,
  );
}

/** @throws Refusal */
export function readVmConfig(text: string): TdxVmConfig {
  if (text.length > MAX_CHARS) throw new Refusal(CODE, `vm_config is longer than ${MAX_CHARS} characters`);
  const json = readJson(text, 'vm_config', CODE);
  const variant = present(json, 'tdx_attestation_variant')?.string() ?? 'legacy';
  if (variant !== 'legacy' && variant !== 'lite') {
    throw new Refusal(CODE, `vm_config.tdx_attestation_variant is ${JSON.stringify(variant)}`);
  }
  const ovmf = present(json, 'ovmf_variant')?.string() ?? 'pre202505';
  if (ovmf !== 'pre202505') throw new Refusal(CODE, `vm_config.ovmf_variant is ${JSON.stringify(ovmf)}`);
  const document = present(json, 'tdx_measurement');
  return {
    osImageHash: json.member('os_image_hash').hex(32),
    cpuCount: json.member('cpu_count').integer(1, LIMITS.cpus),
    machine: {
      memoryBytes: json.member('memory_size').integer(1, LIMITS.memoryBytes),
      pageAddOrder: readPageAddOrder(json),
    },
    attestationVariant: variant,
    tdxMeasurement:
      document === undefined
        ? null
        : { checksumFile: base64(document, 'checksum_file'), measurement: base64(document, 'measurement') },
  };
}

/**
 * `qemu_single_pass_add_pages` is wired to the two-pass switch in dstack: true means two passes. Without it the QEMU version
 * decides.
 */
function readPageAddOrder(json: JsonReader): PageAddOrder {
  const flag = present(json, 'qemu_single_pass_add_pages')?.boolean();
  if (flag !== undefined) return flag ? 'two-pass' : 'single-pass';
  return pageAddOrderOfQemu(present(json, 'qemu_version')?.string() ?? DEFAULT_QEMU);
}

/** QEMU 8 adds pages in two passes, 9 and later in one. @throws Refusal `QEMU_UNSUPPORTED` for older ones or no version. */
export function pageAddOrderOfQemu(version: string): PageAddOrder {
  const major = Number(/^(\d{1,4})(\.\d+)*/.exec(version)?.[1] ?? '0');
  if (major < 8) throw new Refusal('QEMU_UNSUPPORTED', `QEMU ${JSON.stringify(version.slice(0, 40))} cannot run a TD`);
  return major === 8 ? 'two-pass' : 'single-pass';
}

function present(json: JsonReader, name: string): JsonReader | undefined {
  const member = json.optional(name);
  return member === undefined || member.isNull ? undefined : member;
}

function base64(json: JsonReader, name: string): Uint8Array {
  const member = json.member(name);
  const text = member.string();
  const bytes = Buffer.from(text, 'base64');
  if (bytes.toString('base64') !== text) throw member.refuse('is not base64');
  return new Uint8Array(bytes);
}
