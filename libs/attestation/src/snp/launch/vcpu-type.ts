interface CpuId {
  readonly family: number;
  readonly model: number;
  readonly stepping: number;
}

/** QEMU's CPU models that dstack starts guests with; their versions do not change the signature. */
const MODELS: readonly { readonly pattern: RegExp; readonly cpu: CpuId }[] = [
  { pattern: /^epyc(-v[1-4]|-ibpb)?$/, cpu: { family: 23, model: 1, stepping: 2 } },
  { pattern: /^epyc-rome(-v[0-9]+)?$/, cpu: { family: 23, model: 49, stepping: 0 } },
  { pattern: /^epyc-milan(-v[0-9]+)?$/, cpu: { family: 25, model: 1, stepping: 1 } },
  { pattern: /^epyc-genoa(-v[0-9]+)?$/, cpu: { family: 25, model: 17, stepping: 0 } },
];

/** Highest value of the base family field; the rest goes to the extended one (CPUID 1, EAX). */
const BASE_FAMILY_MAX = 0xf;

/** CPUID signature (leaf 1, EAX) of a QEMU CPU model such as `EPYC-v4`, or undefined when it is not known. */
export function vcpuSignature(type: string): number | undefined {
  const cpu = MODELS.find(({ pattern }) => pattern.test(type.toLowerCase()))?.cpu;
  if (cpu === undefined) return undefined;
  const base = Math.min(cpu.family, BASE_FAMILY_MAX);
  const family = ((cpu.family - base) << 20) | (base << 8);
  return family | ((cpu.model >> 4) << 16) | ((cpu.model & 0xf) << 4) | cpu.stepping;
}
