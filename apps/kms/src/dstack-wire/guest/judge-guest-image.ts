import {
  type OsImageSource,
  OsImageUnavailableError,
  osImageRule,
  type VersionedAttestation,
} from '@vouch/attestation';
import type { Finding } from '../../checks/check-ledger.js';
import type { ProcessGuests } from '../../evidence/os-image.js';
import type { AttestedGuest } from './judge-evidence.js';

export interface GuestImageRules {
  readonly processGuests: ProcessGuests;
  /** Where images without a measurement document in vm_config come from; absent: such guests are refused. */
  readonly images: OsImageSource | undefined;
}

export interface GuestImageFinding extends Finding {
  /** 64 hex digits; empty when the check failed. */
  readonly osImageHash: string;
  readonly isProcessGuest: boolean;
}

/**
 * Check `os-image.measurement` for a guest of this wire: dstack's TDX images, "lite" or measured from their files, and our
 * process guests in development. What there is no rule for is refused: the OS image hash would be the caller's word. Throws
 * OsImageUnavailableError when the image may be had later.
 */
export async function judgeGuestImage(
  { appraised }: AttestedGuest,
  { platform }: VersionedAttestation,
  vmConfig: string,
  { processGuests, images }: GuestImageRules,
): Promise<GuestImageFinding> {
  // Boot events as they came: digests that were made up cannot replay to the RTMR 0 of the quote.
  const events = platform.kind === 'tdx' ? platform.eventLog : [];
  const source = images === undefined ? undefined : new PatientSource(images);
  const found = await osImageRule(source)({ appraised, vmConfig, events });
  if (source?.absent !== undefined) throw source.absent;
  const { outcome, detail, osImageHash, isProcessGuest } = found;
  if (isProcessGuest && processGuests === 'refused') {
    return refuse('process guests are a development weakening and are not accepted here', isProcessGuest);
  }
  if (outcome !== 'pass' || osImageHash === null) return refuse(detail, isProcessGuest);
  const acpi = isProcessGuest || found.acpiJudged ? '' : '; the content of the ACPI tables was not judged';
  return { ok: true, detail: `${detail}${acpi}`, osImageHash, isProcessGuest };
}

/** Remembers that an image was only absent for now, which is no reason to refuse a guest for good. */
class PatientSource implements OsImageSource {
  absent: OsImageUnavailableError | undefined;

  constructor(private readonly source: OsImageSource) {}

  async imageFor(osImageHash: string): ReturnType<OsImageSource['imageFor']> {
    try {
      return await this.source.imageFor(osImageHash);
    } catch (error) {
      if (error instanceof OsImageUnavailableError && error.retryable) this.absent = error;
      throw error;
    }
  }
}

function refuse(detail: string, isProcessGuest: boolean): GuestImageFinding {
  return { ok: false, detail, osImageHash: '', isProcessGuest };
}
