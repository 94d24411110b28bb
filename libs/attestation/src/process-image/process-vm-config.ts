/** What a process guest's `vm_config` says. */
export interface ProcessVmConfig {
  /** os_image_hash, 64 lower-case hex digits. */
  readonly osImageHash: string;
  readonly vcpu: number;
  readonly memoryMiB: number;
}

export type ProcessVmConfigReading =
  | { readonly ok: true; readonly config: ProcessVmConfig }
  | { readonly ok: false; readonly reason: string };

const MIB = 1024 * 1024;
const MAX_VCPU = 512;
const MAX_MEMORY_MIB = 4_194_304;
const KEYS = ['cpu_count', 'memory_size', 'os_image_hash', 'spec_version', 'vouch_driver'];

/** The exact `vm_config` text of a process guest (key names of dstack-kms §14; `memory_size` is in bytes). */
export function processVmConfigText(config: ProcessVmConfig): string {
  return JSON.stringify({
    spec_version: 1,
    os_image_hash: config.osImageHash,
    cpu_count: config.vcpu,
    memory_size: config.memoryMiB * MIB,
    vouch_driver: 'process',
  });
}

/**
 * Reads the `vm_config` text of a process guest. Refuses (as a value) anything that is not exactly the known keys with
 * values in range: an unknown key could describe hardware that no boot measurement covers.
 */
export function readProcessVmConfig(text: string): ProcessVmConfigReading {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return refuse('vm_config is not JSON');
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return refuse('vm_config is not a JSON object');
  const fields = json as Record<string, unknown>;
  const unknownKey = Object.keys(fields).find((key) => !KEYS.includes(key));
  if (unknownKey !== undefined) return refuse(`vm_config has the unknown key ${JSON.stringify(unknownKey)}`);
  const { spec_version: version, os_image_hash: osImageHash, cpu_count: vcpu, memory_size: memorySize } = fields;
  if (version !== 1) return refuse('vm_config.spec_version must be 1');
  if (fields.vouch_driver !== 'process') return refuse('vm_config.vouch_driver must be "process"');
  if (typeof osImageHash !== 'string' || !/^[0-9a-f]{64}$/.test(osImageHash)) {
    return refuse('vm_config.os_image_hash must be 64 lower-case hex digits');
  }
  if (!isIntegerIn(vcpu, 1, MAX_VCPU)) return refuse(`vm_config.cpu_count must be an integer from 1 to ${MAX_VCPU}`);
  if (!isIntegerIn(memorySize, MIB, MAX_MEMORY_MIB * MIB) || memorySize % MIB !== 0) {
    return refuse(`vm_config.memory_size must be whole MiB in bytes, from 1 to ${MAX_MEMORY_MIB} MiB`);
  }
  return { ok: true, config: { osImageHash, vcpu, memoryMiB: memorySize / MIB } };
}

function isIntegerIn(value: unknown, low: number, high: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= low && value <= high;
}

function refuse(reason: string): ProcessVmConfigReading {
  return { ok: false, reason };
}
