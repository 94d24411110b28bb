import { Refusal } from '../refusal.js';
import { readAttestationV0 } from './attestation-v0.js';
import { readAttestationV1 } from './attestation-v1.js';
import { type Decoded, decode } from './decoded.js';
import { MAX_ATTESTATION_BYTES, type VersionedAttestation } from './versioned-attestation.js';

/** First bytes of a MessagePack map: fixmap, map 16, map 32. */
const isMap = (first: number): boolean => (first & 0xf0) === 0x80 || first === 0xde || first === 0xdf;

/**
 * Reads a VersionedAttestation (dstack-kms §10): 00 is SCALE, a MessagePack map is version 1, anything else is refused. At
 * most 10 MiB, 4096 events, no trailing bytes. Byte fields are views of the input; nothing is verified here. Check
 * `attestation.format`; codes `ATTESTATION_SIZE`, `ATTESTATION_VERSION`, `ATTESTATION_FORMAT`, `EVENT_LOG_FORMAT`.
 */
export function readAttestation(bytes: Uint8Array): Decoded<VersionedAttestation> {
  return decode(
    'attestation.format',
    () => readVersioned(bytes),
    ({ version, platform, stack }) =>
      `${platform.kind} evidence, version ${version}, ${stack.runtimeEvents.length} runtime events`,
  );
}

/** @throws Refusal */
export function readVersioned(bytes: Uint8Array): VersionedAttestation {
  const first = bytes[0];
  if (first === undefined || bytes.length > MAX_ATTESTATION_BYTES) {
    throw new Refusal(
      'ATTESTATION_SIZE',
      `an attestation has 1 to ${MAX_ATTESTATION_BYTES} bytes, not ${bytes.length}`,
      0,
    );
  }
  if (first === 0) return readAttestationV0(bytes);
  if (isMap(first)) return readAttestationV1(bytes);
  throw new Refusal('ATTESTATION_VERSION', `no attestation starts with 0x${first.toString(16).padStart(2, '0')}`, 0);
}
