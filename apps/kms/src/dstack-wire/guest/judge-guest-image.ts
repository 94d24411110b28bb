import { appraiseTdxLite, type VersionedAttestation } from '@vouch/attestation';
import { fails, holds } from '../../checks/check-ledger.js';
import { judgeOsImage, type OsImageFinding, type ProcessGuests } from '../../evidence/os-image.js';
import type { AttestedGuest } from './judge-evidence.js';

/**
 * Check `os-image.measurement` for a guest of this wire. Two kinds of vm_config can be judged: dstack's "lite" one, which
 * carries the image's measurement document, and our process guests'. Everything else is refused: without a rule the OS image
 * hash would be the caller's word.
 */
export function judgeGuestImage(
  guest: AttestedGuest,
  { platform }: VersionedAttestation,
  vmConfig: string,
  processGuests: ProcessGuests,
): OsImageFinding {
  if (!isLite(vmConfig)) return judgeOsImage(guest.quote, vmConfig, processGuests);
  // Boot events of the log count: digests that were made up cannot replay to the RTMR 0 of the quote.
  const events = platform.kind === 'tdx' ? platform.eventLog : [];
  const result = appraiseTdxLite(guest.appraised, vmConfig, events);
  if (!result.ok) return { ...fails(`${result.failed.name}: ${result.failed.detail}`), ...NOTHING };
  const osImageHash = Buffer.from(result.osImageHash).toString('hex');
  const acpi = result.acpiJudged ? '' : '; the content of the ACPI tables was not judged';
  const found = holds(`MRTD and RTMR0-2 are those of OS image ${osImageHash} on this machine${acpi}`);
  return { ...found, osImageHash, isProcessGuest: false };
}

const NOTHING = { osImageHash: '', isProcessGuest: false } as const;

function isLite(vmConfig: string): boolean {
  try {
    const json = JSON.parse(vmConfig) as { tdx_attestation_variant?: unknown } | null;
    return json?.tdx_attestation_variant === 'lite';
  } catch {
    return false;
  }
}
