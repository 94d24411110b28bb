import { createUser } from '@nats-io/nkeys';

/** A fresh NATS identity. The seed is a secret: store it with mode 0600, never in a log or an argument list. */
export interface BusUserKey {
  /** ASCII text that starts with "SU"; what connectBus takes. */
  readonly seed: Uint8Array;
  /** Starts with "U"; what the server's configuration lists. */
  readonly publicNkey: string;
}

export function createBusUserKey(): BusUserKey {
  const pair = createUser();
  return { seed: Uint8Array.from(pair.getSeed()), publicNkey: pair.getPublicKey() };
}
