/** State of the platform at the time of the report (ABI 56860, PLATFORM_INFO). */
export interface PlatformInfo {
  readonly raw: bigint;
  readonly smtEnabled: boolean;
  readonly tsmeEnabled: boolean;
  readonly eccEnabled: boolean;
  readonly raplDisabled: boolean;
  readonly ciphertextHidingEnabled: boolean;
  /** No aliasing memory addresses were found since the last reset. */
  readonly aliasCheckComplete: boolean;
  readonly tioEnabled: boolean;
  /** Reserved bits that are set, as hex; empty when none. */
  readonly reserved: string;
}

const BIT = {
  smtEnabled: 0n,
  tsmeEnabled: 1n,
  eccEnabled: 2n,
  raplDisabled: 3n,
  ciphertextHidingEnabled: 4n,
  aliasCheckComplete: 5n,
  tioEnabled: 7n,
} as const;

const KNOWN = Object.values(BIT).reduce((mask: bigint, bit) => mask | (1n << bit), 0n);

export function readPlatformInfo(raw: bigint): PlatformInfo {
  const has = (bit: bigint): boolean => (raw & (1n << bit)) !== 0n;
  const reserved = raw & ~KNOWN;
  return {
    raw,
    smtEnabled: has(BIT.smtEnabled),
    tsmeEnabled: has(BIT.tsmeEnabled),
    eccEnabled: has(BIT.eccEnabled),
    raplDisabled: has(BIT.raplDisabled),
    ciphertextHidingEnabled: has(BIT.ciphertextHidingEnabled),
    aliasCheckComplete: has(BIT.aliasCheckComplete),
    tioEnabled: has(BIT.tioEnabled),
    reserved: reserved === 0n ? '' : `0x${reserved.toString(16)}`,
  };
}
