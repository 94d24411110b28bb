/** Guest policy, set by the host at launch and enforced by the firmware (ABI 56860, GUEST_POLICY). */
export interface GuestPolicy {
  readonly raw: bigint;
  readonly abiMinor: number;
  readonly abiMajor: number;
  readonly smtAllowed: boolean;
  readonly migrationAgentAllowed: boolean;
  readonly debugAllowed: boolean;
  readonly singleSocket: boolean;
  readonly cxlAllowed: boolean;
  readonly memAes256XtsRequired: boolean;
  readonly raplDisabledRequired: boolean;
  readonly ciphertextHidingRequired: boolean;
  readonly pageSwapDisabled: boolean;
  /** Reserved bits that are set, as hex; empty when none. */
  readonly reserved: string;
}

const BIT = {
  smtAllowed: 16n,
  mustBeOne: 17n,
  migrationAgentAllowed: 18n,
  debugAllowed: 19n,
  singleSocket: 20n,
  cxlAllowed: 21n,
  memAes256Xts: 22n,
  raplDisabled: 23n,
  ciphertextHiding: 24n,
  pageSwapDisabled: 25n,
} as const;

const ABI_MASK = 0xffffn;
const KNOWN = Object.values(BIT).reduce((mask: bigint, bit) => mask | (1n << bit), ABI_MASK);

/** Bit 17 must be one; a parser refuses a policy without it. */
export function hasMandatoryBit(raw: bigint): boolean {
  return has(raw, BIT.mustBeOne);
}

export function readGuestPolicy(raw: bigint): GuestPolicy {
  return {
    raw,
    abiMinor: Number(raw & 0xffn),
    abiMajor: Number((raw >> 8n) & 0xffn),
    smtAllowed: has(raw, BIT.smtAllowed),
    migrationAgentAllowed: has(raw, BIT.migrationAgentAllowed),
    debugAllowed: has(raw, BIT.debugAllowed),
    singleSocket: has(raw, BIT.singleSocket),
    cxlAllowed: has(raw, BIT.cxlAllowed),
    memAes256XtsRequired: has(raw, BIT.memAes256Xts),
    raplDisabledRequired: has(raw, BIT.raplDisabled),
    ciphertextHidingRequired: has(raw, BIT.ciphertextHiding),
    pageSwapDisabled: has(raw, BIT.pageSwapDisabled),
    reserved: hexOrEmpty(raw & ~KNOWN),
  };
}

function has(raw: bigint, bit: bigint): boolean {
  return (raw & (1n << bit)) !== 0n;
}

function hexOrEmpty(bits: bigint): string {
  return bits === 0n ? '' : `0x${bits.toString(16)}`;
}
