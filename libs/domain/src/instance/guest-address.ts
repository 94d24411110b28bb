import { createHash } from 'node:crypto';

/** How many addresses are tried before an instance is refused one: with half the block taken, 2^-64 to miss all. */
export const ADDRESS_ATTEMPTS = 64;

const BLOCK = (127 << 24) | (64 << 16);
const BLOCK_SIZE = 1 << 22;

/**
 * The `attempt`-th (0..) address an instance may claim in 127.64.0.0/10: derived from its id, so that every run probes in
 * the same order, and never the first or last of the block.
 */
export function guestAddress(instanceId: string, attempt: number): string {
  const digest = createHash('sha256').update(`vouch-guest-address-v1\n${instanceId}\n${attempt}`).digest();
  const address = BLOCK + 1 + (digest.readUInt32BE(0) % (BLOCK_SIZE - 2));
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff).join('.');
}
