import type { Check, CollateralUnavailableError, Examination, ExaminationFacts } from '@vouch/attestation';
import { keyProvider } from '@vouch/attestation';
import { appAndBootInfo, hex, teeVariant } from './app-info.js';
import { rtmrDebug } from './rtmr-debug.js';

/** dstack-verifier's answer, with the code and the list of checks added. */
export interface VerifyResponse {
  readonly is_valid: boolean;
  readonly details: Readonly<Record<string, unknown>>;
  /** Null when valid. */
  readonly reason: string | null;
  /** Stable, upper snake case; null when valid. */
  readonly code: string | null;
  /** Whether the same request may get another answer later. */
  readonly retryable: boolean;
  readonly checks: readonly Check[];
}

const OS_IMAGE = 'os-image.measurement';

/**
 * The answer to an examination. It is valid when the verdict is `accepted` and nothing that dstack-verifier demands was
 * left out: event log and OS image must have been verified, not skipped.
 */
export function responseTo(examination: Examination, debug: boolean): VerifyResponse {
  const { facts, checks, failed, code } = examination;
  const details = detailsOf(facts, debug);
  const problem = failed === null ? missing(examination) : { check: failed, code: code ?? 'REFUSED' };
  return {
    is_valid: problem === null,
    details,
    reason: problem === null ? null : `${problem.check.name}: ${problem.check.detail}`,
    code: problem?.code ?? null,
    retryable: false,
    checks,
  };
}

/** The request could not be read as evidence. */
export function unreadable(code: string, reason: string, checks: readonly Check[] = []): VerifyResponse {
  return { is_valid: false, details: NOTHING_VERIFIED, reason, code, retryable: false, checks };
}

/** No verdict is possible without collateral. */
export function withoutCollateral(error: CollateralUnavailableError, checks: readonly Check[]): VerifyResponse {
  const failed = { name: 'collateral.available', outcome: 'fail', detail: error.message.slice(0, 2000) } as const;
  return {
    is_valid: false,
    details: { ...NOTHING_VERIFIED, collateral_errors: error.endpoints },
    reason: error.message,
    code: error.code,
    retryable: error.retryable,
    checks: [...checks, failed],
  };
}

const NOTHING_VERIFIED = {
  quote_verified: false,
  event_log_verified: false,
  os_image_hash_verified: false,
  acpi_tables_verified: false,
  os_image_is_dev: null,
  os_image_version: null,
  tee_variant: null,
  report_data: null,
  tcb_status: null,
  advisory_ids: [],
  key_provider: null,
  app_info: null,
  boot_info: null,
  acpi_tables: null,
  rtmr_debug: null,
} as const;

function detailsOf(facts: ExaminationFacts, debug: boolean): Readonly<Record<string, unknown>> {
  const { verified, identity, osImage, tcbStatus } = facts;
  const info = appAndBootInfo(facts);
  const mismatches = debug ? rtmrDebug(facts) : [];
  return {
    ...NOTHING_VERIFIED,
    quote_verified: verified !== null,
    event_log_verified: identity !== null,
    os_image_hash_verified: osImage?.outcome === 'pass',
    acpi_tables_verified: osImage?.acpiJudged === true,
    os_image_is_dev: osImage?.isDev ?? null,
    os_image_version: osImage?.version ?? null,
    tee_variant: teeVariant(facts),
    report_data: verified === null ? null : hex(verified.quote.report.reportData),
    tcb_status: tcbStatus,
    advisory_ids: verified?.tcb.advisoryIds ?? [],
    key_provider: keyProvider(identity?.keyProviderInfo),
    app_info: info?.app ?? null,
    boot_info: info?.boot ?? null,
    rtmr_debug: mismatches.length === 0 ? null : mismatches,
  };
}

/** What must be proven and was skipped. */
function missing({ checks, facts }: Examination): { readonly check: Check; readonly code: string } | null {
  const find = (name: string) => checks.find((check) => check.name === name);
  const log = find('event-log.identity');
  if (facts.identity === null && log !== undefined) return { check: log, code: 'EVENT_LOG_MISSING' };
  const image = find(OS_IMAGE);
  if (facts.osImage?.outcome !== 'pass' && image !== undefined) return { check: image, code: 'OS_IMAGE_NOT_VERIFIED' };
  return null;
}
