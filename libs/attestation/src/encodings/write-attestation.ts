import { ACPI_EVENT_NAMES, isAcpiEvent } from '../event-log/acpi-event.js';
import { isRuntimeEvent } from '../event-log/replay.js';
import type { TdxEvent } from '../event-log/tdx-event.js';
import { writeAttestationV0 } from './attestation-v0.js';
import type { PlatformEvidence, VersionedAttestation } from './versioned-attestation.js';
import { writeAttestationV1 } from './write-attestation-v1.js';

/** Writes in the encoding `version` names. @throws RangeError when that encoding cannot carry the attestation. */
export function writeAttestation(attestation: VersionedAttestation): Uint8Array {
  return attestation.version === 0 ? writeAttestationV0(attestation) : writeAttestationV1(attestation);
}

/**
 * What a certificate carries (dstack-kms §10.4). TDX: runtime events with their digests left out, and the ACPI events, named
 * in log order; GCP: runtime events only; others as they are. A version 2 event keeps digest and preimage: without them no
 * reader accepts it, dstack's own included.
 */
export function stripForCertificate(attestation: VersionedAttestation): VersionedAttestation {
  return { ...attestation, platform: stripPlatform(attestation.platform) };
}

function stripPlatform(platform: PlatformEvidence): PlatformEvidence {
  if (platform.kind !== 'tdx' && platform.kind !== 'gcp-tdx') return platform;
  const acpi = platform.kind === 'tdx';
  let seen = 0;
  const eventLog = platform.eventLog.flatMap((event): readonly TdxEvent[] => {
    if (event.imr === 3) return [stripEvent(event)];
    if (!acpi || !isAcpiEvent(event)) return [];
    return [{ ...event, event: ACPI_EVENT_NAMES[seen++] ?? event.event }];
  });
  return { ...platform, eventLog };
}

function stripEvent(event: TdxEvent): TdxEvent {
  if (!isRuntimeEvent(event)) return { ...event, payload: new Uint8Array() };
  return event.version === 1 ? { ...event, digest: new Uint8Array() } : event;
}
