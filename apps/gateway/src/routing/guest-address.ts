/** 127.64.0.0/10: where process guests live on a development machine. */
const PROCESS_GUEST_BLOCK = { base: ip(127, 64), bits: 10 };

/** Never a guest: this host, this machine, link-local (cloud metadata lives there), multicast, reserved. */
const REFUSED_BLOCKS = [
  { base: ip(0, 0), bits: 8 },
  { base: ip(127, 0), bits: 8 },
  { base: ip(169, 254), bits: 16 },
  { base: ip(224, 0), bits: 4 },
  { base: ip(240, 0), bits: 4 },
];

/**
 * Whether traffic may be sent to an address a grant names. Placement comes from the control plane, which must not be able
 * to point the gateway at services of its own machine. Process guests live on the loopback net, so their block is open
 * only with `unsafeProcessGuest`.
 */
export function isGuestAddress(address: string, unsafeProcessGuest: boolean): boolean {
  const parts = address.split('.').map(Number);
  if (parts.length !== 4 || parts.some((part) => !Number.isInteger(part) || part < 0 || part > 255)) return false;
  const value = parts.reduce((sum, part) => sum * 256 + part, 0);
  if (inBlock(value, PROCESS_GUEST_BLOCK)) return unsafeProcessGuest;
  return !REFUSED_BLOCKS.some((block) => inBlock(value, block));
}

function ip(first: number, second: number): number {
  return (first * 256 + second) * 65_536;
}

function inBlock(value: number, block: { readonly base: number; readonly bits: number }): boolean {
  const size = 2 ** (32 - block.bits);
  return Math.floor(value / size) === Math.floor(block.base / size);
}
