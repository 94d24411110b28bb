/** TD attribute bits (Intel TDX module base specification, TD_ATTRIBUTES). */
const BIT = {
  debug: 0n,
  septVeDisable: 28n,
  pks: 30n,
  keyLocker: 31n,
  perfmon: 63n,
} as const;

/** Bits 1 to 7 belong, with debug, to the group that makes a TD untrusted ("TUD"). */
const TUD_RESERVED = 0xfen;

/** Every bit with a meaning that does not by itself refuse a TD; debug is judged by its own check. */
const KNOWN = Object.values(BIT).reduce((mask: bigint, bit) => mask | (1n << bit), 0n);

export interface TdAttributes {
  readonly debug: boolean;
  readonly septVeDisable: boolean;
  /** Reserved bits of the untrusted group that are set, as hex; empty when none. */
  readonly untrusted: string;
  /** Other reserved bits that are set, as hex; empty when none. */
  readonly reserved: string;
}

/** @param bytes 8 bytes, little-endian. */
export function readTdAttributes(bytes: Uint8Array): TdAttributes {
  const value = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(0, true);
  const has = (bit: bigint): boolean => (value & (1n << bit)) !== 0n;
  const hex = (bits: bigint): string => (bits === 0n ? '' : `0x${bits.toString(16)}`);
  return {
    debug: has(BIT.debug),
    septVeDisable: has(BIT.septVeDisable),
    untrusted: hex(value & TUD_RESERVED),
    reserved: hex(value & ~KNOWN & ~TUD_RESERVED),
  };
}
