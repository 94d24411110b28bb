import { Refusal } from '../refusal.js';
import type { SnpProduct } from './product.js';

/** Security patch levels of the platform's firmware parts, each 0-255. `fmc` exists on Turin only. */
export interface SnpTcbVersion {
  readonly fmc: number | null;
  readonly bootloader: number;
  readonly tee: number;
  readonly snp: number;
  readonly microcode: number;
}

/** Byte of each part in the 8-byte TCB_VERSION; the bytes not named are reserved and zero. */
const MILAN_GENOA = { fmc: null, bootloader: 0, tee: 1, snp: 6, microcode: 7 } as const;
const TURIN = { fmc: 0, bootloader: 1, tee: 2, snp: 3, microcode: 7 } as const;
const TCB_BYTES = 8;

/** @param bytes 8 bytes of a report. @throws Refusal `SNP_FORMAT` when a reserved byte is set */
export function readTcbVersion(bytes: Uint8Array, product: SnpProduct, name: string): SnpTcbVersion {
  const layout = product === 'Turin' ? TURIN : MILAN_GENOA;
  const used = new Set<number>(Object.values(layout).filter((at) => at !== null));
  for (let at = 0; at < TCB_BYTES; at++) {
    if (!used.has(at) && bytes[at] !== 0) throw new Refusal('SNP_FORMAT', `${name} sets reserved byte ${at}`);
  }
  return {
    fmc: layout.fmc === null ? null : (bytes[layout.fmc] ?? 0),
    bootloader: bytes[layout.bootloader] ?? 0,
    tee: bytes[layout.tee] ?? 0,
    snp: bytes[layout.snp] ?? 0,
    microcode: bytes[layout.microcode] ?? 0,
  };
}

export function equalTcb(a: SnpTcbVersion, b: SnpTcbVersion): boolean {
  return differingParts(a, b, (left, right) => left !== right).length === 0;
}

/** Names of the parts of `is` that are lower than those of `min`. */
export function partsBelow(is: SnpTcbVersion, min: SnpTcbVersion): readonly string[] {
  return differingParts(is, min, (left, right) => left < right);
}

export function describeTcb(tcb: SnpTcbVersion): string {
  const fmc = tcb.fmc === null ? '' : `fmc ${tcb.fmc} `;
  return `${fmc}bl ${tcb.bootloader} tee ${tcb.tee} snp ${tcb.snp} ucode ${tcb.microcode}`;
}

function differingParts(
  a: SnpTcbVersion,
  b: SnpTcbVersion,
  differ: (left: number, right: number) => boolean,
): readonly string[] {
  const parts = ['fmc', 'bootloader', 'tee', 'snp', 'microcode'] as const;
  // A missing FMC level counts below every present one, so that levels of two product lines never pass as equal.
  return parts.filter((part) => differ(a[part] ?? -1, b[part] ?? -1));
}
