import { keccak_256 } from '@noble/hashes/sha3.js';
import { concatBytes, hashBytes } from '../bytes.js';

/** Kind byte of the key provider in mr_config_id version 2. */
export const KEY_PROVIDER_KINDS = { none: 0, local: 1, kms: 2, tpm: 3 } as const;
export type KeyProviderKind = keyof typeof KEY_PROVIDER_KINDS;

/** mr_config_id version 1: 01 ‖ compose hash (32) ‖ 15 zero bytes; 48 bytes (dstack-kms §12). */
export function mrConfigIdV1(composeHash: Uint8Array): Uint8Array {
  return withVersion(1, composeHash);
}

/** Version 2: 02 ‖ Keccak-256(compose hash ‖ app id ‖ kind ‖ key provider id) ‖ 15 zero bytes. */
export function mrConfigIdV2(
  composeHash: Uint8Array,
  appId: Uint8Array,
  kind: KeyProviderKind,
  keyProviderId: Uint8Array,
): Uint8Array {
  const content = concatBytes(composeHash, appId, new Uint8Array([KEY_PROVIDER_KINDS[kind]]), keyProviderId);
  return withVersion(2, keccak_256(content));
}

/** Version 3: 03 ‖ SHA-256("dstack-mr-config-v3:" ‖ 00 ‖ exact document bytes) ‖ 15 zero bytes. */
export function mrConfigIdV3(document: Uint8Array): Uint8Array {
  return withVersion(3, hashBytes('sha256', Buffer.from('dstack-mr-config-v3:\0', 'latin1'), document));
}

function withVersion(version: number, hash: Uint8Array): Uint8Array {
  if (hash.length !== 32) throw new RangeError(`a hash of 32 bytes is needed, not ${hash.length}`);
  return concatBytes(new Uint8Array([version]), hash, new Uint8Array(15));
}
