import { ADDRESS_ATTEMPTS, guestAddress } from '@vouch/domain';
import type { KeyValueBucket } from './key-value-bucket.js';

/** No address could be claimed: every candidate of the instance belongs to another. Practically never. */
class AddressesExhaustedError extends Error {
  readonly code = 'addresses-exhausted';
  readonly retryable = true;
  constructor(instanceId: string) {
    super(`none of ${ADDRESS_ATTEMPTS} addresses of instance ${instanceId} is free`);
    this.name = 'AddressesExhaustedError';
  }
}

/**
 * One address per instance, in the bucket `addresses` (address -> instance id), claimed by compare-and-swap: two writers
 * can never give one address to two instances. A repeated claim finds the address it already has, since the candidates
 * come in a fixed order.
 */
export class AddressBook {
  constructor(private readonly bucket: KeyValueBucket) {}

  async claim(instanceId: string): Promise<string> {
    for (let attempt = 0; attempt < ADDRESS_ATTEMPTS; attempt += 1) {
      const address = guestAddress(instanceId, attempt);
      if (await this.bucket.create(address, instanceId)) return address;
      if ((await this.bucket.get(address)) === instanceId) return address;
    }
    throw new AddressesExhaustedError(instanceId);
  }

  /** Gives the address back, unless it belongs to another instance by now. */
  async release(address: string, instanceId: string): Promise<void> {
    if ((await this.bucket.get(address)) === instanceId) await this.bucket.delete(address);
  }
}
