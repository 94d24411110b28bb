import {
  APPRAISE_CHECKS,
  type AppraisedEvidence,
  ATTESTATION_CHECKS,
  type BoundEventLog,
  bindAttestation,
  type EventLogIdentity,
  identityFromEventLog,
  type ParsedQuote,
  ratlsReportData,
  VERIFY_CHECKS,
  type VersionedAttestation,
} from '@vouch/attestation';
import type { Check } from '@vouch/domain';
import type { UsedCollateral } from '../../evidence/appraised-facts.js';
import type { EvidenceAppraiser } from '../../evidence/evidence-appraiser.js';
import type { PresentedEvidence } from './presented-evidence.js';

/** Checks of presented evidence, in the order they run. */
export const PRESENTED_CHECKS: readonly string[] = [
  'evidence.platform',
  'quote.format',
  'collateral.available',
  ...VERIFY_CHECKS,
  ...APPRAISE_CHECKS,
  'ratls.key-binding',
  ...ATTESTATION_CHECKS,
  'event-log.identity',
];

/** A guest whose evidence passed every check of {@link PRESENTED_CHECKS}. */
export interface AttestedGuest {
  readonly quote: ParsedQuote;
  readonly appraised: AppraisedEvidence;
  readonly log: BoundEventLog;
  readonly identity: EventLogIdentity;
}

/** What was found about an attestation. `guest` is null when a check failed. */
export interface JudgedAttestation {
  readonly checks: readonly Check[];
  readonly collateral: UsedCollateral | null;
  /** A genuine platform signed the quote: this is not something anyone could have made up. */
  readonly isGenuine: boolean;
  readonly guest: AttestedGuest | null;
}

export interface JudgedEvidence extends JudgedAttestation {
  readonly presented: PresentedEvidence;
}

/** Judges what a client presented: its attestation must bind the key it came with. See {@link judgeAttestation}. */
export async function judgeEvidence(
  presented: PresentedEvidence,
  appraiser: EvidenceAppraiser,
): Promise<JudgedEvidence> {
  return { presented, ...(await judgeAttestation(presented.attestation, presented.boundKey, appraiser)) };
}

/**
 * Judges an attestation up to the identity the guest measured: quote, policy of appraisal, the key it must bind (null: none,
 * for the KMS's own), both event lists, replay of every register the log has (RTMR 3 always), identity. The OS image is judged
 * later, with the vm_config of the request. Throws CollateralUnavailableError when there is no verdict yet.
 */
export async function judgeAttestation(
  attestation: VersionedAttestation,
  boundKey: Uint8Array | null,
  appraiser: EvidenceAppraiser,
): Promise<JudgedAttestation> {
  const { platform } = attestation;
  const checks: Check[] = [];
  const outcome = (collateral: UsedCollateral | null, guest: AttestedGuest | null): JudgedAttestation => ({
    ...{ checks, collateral, guest },
    isGenuine: checks.some(({ name, outcome: found }) => name === 'quote.signature' && found === 'pass'),
  });
  if (platform.kind !== 'tdx') {
    checks.push({ name: 'evidence.platform', outcome: 'fail', detail: `${platform.kind} evidence is not judged here` });
    return outcome(null, null);
  }
  checks.push({ name: 'evidence.platform', outcome: 'pass', detail: platform.kind });
  const stage = await appraiser.appraiseQuote(platform.quote);
  checks.push(...stage.checks);
  if (!stage.ok) return outcome(stage.collateral, null);
  const { appraised, quote, collateral } = stage;
  const binding = keyBinding(quote, boundKey);
  checks.push(binding);
  if (binding.outcome === 'fail') return outcome(collateral, null);
  const bound = bindAttestation(appraised, attestation);
  checks.push(...bound.checks);
  if (!bound.ok) return outcome(collateral, null);
  const identity = identityFromEventLog(bound.log);
  checks.push(...identity.checks);
  if (!identity.ok) return outcome(collateral, null);
  return outcome(collateral, { quote, appraised, log: bound.log, identity: identity.identity });
}

/** Check `ratls.key-binding`: report_data = SHA-512("ratls-cert:" ‖ SubjectPublicKeyInfo). */
function keyBinding({ report }: ParsedQuote, boundKey: Uint8Array | null): Check {
  const name = 'ratls.key-binding';
  if (boundKey === null) return { name, outcome: 'skipped', detail: 'the evidence did not come with a key' };
  return Buffer.compare(ratlsReportData(boundKey), report.reportData) === 0
    ? { name, outcome: 'pass', detail: 'the report data binds the key' }
    : { name, outcome: 'fail', detail: 'the report data of the quote binds another key' };
}
