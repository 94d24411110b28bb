import { hashBytes } from '../bytes.js';

const ID_BYTES = 20;
const SHA256_BYTES = 32;

/** SHA-256 of the exact app-compose.json bytes, 32 bytes; never of a re-serialised form (dstack-kms §12). */
export function composeHash(appCompose: Uint8Array): Uint8Array {
  return hashBytes('sha256', appCompose);
}

/** App id of an app that was not given one: the first 20 bytes of its compose hash. @throws RangeError */
export function defaultAppId(composeHashBytes: Uint8Array): Uint8Array {
  expectBytes('compose hash', composeHashBytes, SHA256_BYTES);
  return composeHashBytes.slice(0, ID_BYTES);
}

/**
 * SHA-256(seed ‖ app id [‖ SHA-256(platform key)])[0..20]. The platform key is the TPM's AK (GCP) or EK (AWS) public area;
 * TDX hosts and SEV-SNP bind none. @throws RangeError unless seed and app id have 20 bytes.
 */
export function instanceId(seed: Uint8Array, appId: Uint8Array, platformKey?: Uint8Array): Uint8Array {
  expectBytes('instance seed', seed, ID_BYTES);
  expectBytes('app id', appId, ID_BYTES);
  const binding = platformKey === undefined ? [] : [hashBytes('sha256', platformKey)];
  return hashBytes('sha256', seed, appId, ...binding).slice(0, ID_BYTES);
}

/** SHA-256 of the policy's RFC 8785 text (`{}` when there is none), 32 bytes. */
export function gpuPolicyHash(canonicalPolicy: string): Uint8Array {
  return hashBytes('sha256', Buffer.from(canonicalPolicy, 'utf8'));
}

/** SHA-256("dstack-launch-token/v1:" ‖ token), 32 bytes: `requirements.launch_token_hash` of an app-compose. */
export function launchTokenHash(token: string): Uint8Array {
  return hashBytes('sha256', Buffer.from(`dstack-launch-token/v1:${token}`, 'utf8'));
}

/** SHA-256(chip id), 32 bytes; dstack's KMS shows contracts the raw 64-byte chip id instead. @throws RangeError */
export function snpDeviceId(chipId: Uint8Array): Uint8Array {
  expectBytes('chip id', chipId, 64);
  return hashBytes('sha256', chipId);
}

/** SHA-256 of the NitroTPM's module id, 32 bytes. */
export function awsTpmDeviceId(moduleId: string): Uint8Array {
  return hashBytes('sha256', Buffer.from(moduleId, 'utf8'));
}

/**
 * dstack's device id of a Nitro enclave: SHA-256 of the module id up to its first "-". As ids start with "i-" it is the same
 * for all of them: it names no device. Kept because contracts hold it.
 */
export function nitroEnclaveLegacyDeviceId(moduleId: string): Uint8Array {
  return hashBytes('sha256', Buffer.from(moduleId.split('-')[0] ?? '', 'utf8'));
}

function expectBytes(name: string, bytes: Uint8Array, sizeBytes: number): void {
  if (bytes.length !== sizeBytes) throw new RangeError(`${name} has ${sizeBytes} bytes, not ${bytes.length}`);
}
