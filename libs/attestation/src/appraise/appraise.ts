import type { SgxReport, TdReport } from '../abi/parsed-quote.js';
import { equalBytes, isZero, toHex } from '../bytes.js';
import { CheckSheet } from '../check-sheet.js';
import { deviceId } from '../measurements/derive-measurements.js';
import { Refusal } from '../refusal.js';
import { INTEL_SGX_ROOT } from '../verify/trust-anchor.js';
import type { VerifiedQuote } from '../verify/verified-quote.js';
import type { AppraisedEvidence, AppraiseResult } from './appraised-evidence.js';
import type { AppraisalPolicy, ReferenceValues } from './policy.js';
import { readTdAttributes } from './td-attributes.js';
import { unsafeNames } from './unsafe-names.js';

/** Names of the checks `appraise` reports, in order. Those without a meaning for the quote or policy are skipped, and say so. */
export const APPRAISE_CHECKS = [
  'policy.trust-anchor',
  'policy.tee',
  'policy.tcb-status',
  'policy.advisories',
  'policy.tcb-evaluation-number',
  'policy.tcb-date',
  'policy.debug',
  'policy.td-attributes',
  'policy.sept-ve-disable',
  'policy.service-td',
  'policy.references',
  'policy.report-data',
] as const;

type Sheet = CheckSheet<(typeof APPRAISE_CHECKS)[number]>;

/**
 * Decides about a verified quote. The empty policy is the strictest: Intel's root, TDX, UpToDate, no debug, no reserved
 * attribute, SEPT_VE_DISABLE set, no service TD. Codes: `POLICY_TRUST_ANCHOR`, `POLICY_TEE`, `POLICY_TCB_STATUS`,
 * `POLICY_ADVISORY`, `POLICY_TCB_TOO_OLD`, `POLICY_DEBUG`, `POLICY_ATTRIBUTES`, `POLICY_SERVICE_TD`, `POLICY_REFERENCE`,
 * `POLICY_REPORT_DATA`.
 */
export function appraise(verified: VerifiedQuote, policy: AppraisalPolicy): AppraiseResult {
  const sheet: Sheet = new CheckSheet(APPRAISE_CHECKS);
  const { report } = verified.quote;
  const result = sheet.settle((): AppraisedEvidence => {
    appraiseOrigin(sheet, verified, policy);
    appraiseTcb(sheet, verified, policy);
    appraiseDebug(sheet, verified, policy);
    if (report.kind === 'sgx') {
      const why = 'an SGX enclave has no TD attributes';
      sheet.skip('policy.td-attributes', why);
      sheet.skip('policy.sept-ve-disable', why);
      sheet.skip('policy.service-td', 'an SGX enclave has no service TD');
    } else {
      appraiseTd(sheet, report, policy);
    }
    appraiseReferences(sheet, report, policy);
    // The stage brand exists only in the type system; this is the one place that gives it.
    const evidence = { verified, deviceId: deviceId(verified.pck.ppid), unsafe: unsafeNames(policy) };
    return evidence as unknown as AppraisedEvidence;
  });
  return result.ok ? { ok: true, evidence: result.value, checks: result.checks } : result;
}

function appraiseOrigin(sheet: Sheet, verified: VerifiedQuote, policy: AppraisalPolicy): void {
  const anchor = verified.trustAnchor;
  const intel = anchor.fingerprint === INTEL_SGX_ROOT.fingerprint;
  sheet.step(
    'policy.trust-anchor',
    () => {
      if (!intel && policy.unsafeTrustAnchorAccepted !== true) {
        throw new Refusal('POLICY_TRUST_ANCHOR', `"${anchor.name}" ${anchor.fingerprint} is not Intel's root`);
      }
    },
    () => (intel ? 'Intel SGX Root CA' : `"${anchor.name}" ${anchor.fingerprint}, by unsafeTrustAnchorAccepted`),
  );
  const wanted = policy.tee ?? 'TDX';
  sheet.step(
    'policy.tee',
    () => {
      const { tee } = verified.quote.header;
      if (tee !== wanted) throw new Refusal('POLICY_TEE', `the quote is ${tee}, ${wanted} is required`);
    },
    () => wanted,
  );
}

function appraiseTcb(sheet: Sheet, { tcb }: VerifiedQuote, policy: AppraisalPolicy): void {
  sheet.step(
    'policy.tcb-status',
    () => {
      if (tcb.status !== 'UpToDate' && policy.unsafeAcceptedStatuses?.includes(tcb.status) !== true) {
        throw new Refusal('POLICY_TCB_STATUS', `the TCB is ${tcb.status}`);
      }
    },
    () => (tcb.status === 'UpToDate' ? tcb.status : `${tcb.status}, by unsafeAcceptedStatuses`),
  );
  const { rejectedAdvisories, minTcbEvaluationDataNumber: minNumber, minTcbLevelDate: minDate } = policy;
  optional(sheet, 'policy.advisories', rejectedAdvisories, (rejected) => {
    const hit = tcb.advisoryIds.find((id) => rejected.includes(id));
    if (hit !== undefined) throw new Refusal('POLICY_ADVISORY', `${hit} applies to this platform`);
    return `none of ${rejected.length} rejected advisories applies`;
  });
  optional(sheet, 'policy.tcb-evaluation-number', minNumber, (min) => {
    const is = tcb.evaluationDataNumber;
    if (is < min)
      throw new Refusal('POLICY_TCB_TOO_OLD', `the evaluation data number is ${is}, at least ${min} is required`);
    return `${is} is at least ${min}`;
  });
  optional(sheet, 'policy.tcb-date', minDate, (min) => {
    // Negated, so that an invalid date refuses.
    if (!(new Date(tcb.tcbDate) >= min)) throw new Refusal('POLICY_TCB_TOO_OLD', `the TCB level is of ${tcb.tcbDate}`);
    return `${tcb.tcbDate} is not before ${min.toISOString()}`;
  });
}

function appraiseDebug(sheet: Sheet, verified: VerifiedQuote, policy: AppraisalPolicy): void {
  sheet.step(
    'policy.debug',
    () => {
      if (verified.debug && policy.unsafeDebugAccepted !== true)
        throw new Refusal('POLICY_DEBUG', 'the debug attribute is set');
    },
    () => (verified.debug ? 'debug is set, by unsafeDebugAccepted' : 'debug is not set'),
  );
}

function appraiseTd(sheet: Sheet, report: TdReport, policy: AppraisalPolicy): void {
  const attributes = readTdAttributes(report.tdAttributes);
  sheet.step(
    'policy.td-attributes',
    () => {
      const bad = attributes.untrusted || attributes.reserved;
      if (bad !== '') throw new Refusal('POLICY_ATTRIBUTES', `reserved TD attribute bits ${bad} are set`);
    },
    () => `0x${toHex(report.tdAttributes.toReversed())}: no reserved bit`,
  );
  sheet.step(
    'policy.sept-ve-disable',
    () => {
      if (!attributes.septVeDisable && policy.unsafeSeptVeNotRequired !== true) {
        throw new Refusal('POLICY_ATTRIBUTES', 'SEPT_VE_DISABLE is not set');
      }
    },
    () => (attributes.septVeDisable ? 'set' : 'not set, by unsafeSeptVeNotRequired'),
  );
  const { mrServiceTd } = report;
  if (mrServiceTd === null) {
    sheet.skip('policy.service-td', 'TD reports 1.0 have no service TD field');
    return;
  }
  sheet.step(
    'policy.service-td',
    () => {
      if (!isZero(mrServiceTd) && policy.unsafeServiceTdAccepted !== true) {
        throw new Refusal('POLICY_SERVICE_TD', `a service TD is bound: ${toHex(mrServiceTd)}`);
      }
    },
    () => (isZero(mrServiceTd) ? 'none' : 'bound, by unsafeServiceTdAccepted'),
  );
}

function appraiseReferences(sheet: Sheet, report: TdReport | SgxReport, policy: AppraisalPolicy): void {
  optional(sheet, 'policy.references', policy.references, (references) => {
    const names = Object.keys(references).filter((name): name is keyof ReferenceValues => name in references);
    const used = names.filter((name) => references[name] !== undefined);
    for (const name of used) requireReference(report, name, references[name] ?? []);
    return used.length === 0 ? 'no reference values' : `${used.join(', ')} match`;
  });
  optional(sheet, 'policy.report-data', policy.reportData, (expected) => {
    if (!equalBytes(report.reportData, expected)) {
      throw new Refusal('POLICY_REPORT_DATA', `report data is ${toHex(report.reportData)}, not ${toHex(expected)}`);
    }
    return 'equal';
  });
}

function requireReference(
  report: TdReport | SgxReport,
  name: keyof ReferenceValues,
  allowed: readonly Uint8Array[],
): void {
  const values: Readonly<Record<string, unknown>> = { ...report };
  const value = values[name];
  if (!(value instanceof Uint8Array)) throw new Refusal('POLICY_REFERENCE', `this quote has no ${name}`);
  if (!allowed.some((candidate) => equalBytes(candidate, value))) {
    throw new Refusal('POLICY_REFERENCE', `${name} ${toHex(value)} is not one of ${allowed.length} reference values`);
  }
}

/** Runs a check the policy asks for; without its value the check is skipped and says so. */
function optional<T>(
  sheet: Sheet,
  name: (typeof APPRAISE_CHECKS)[number],
  wanted: T | undefined,
  body: (wanted: T) => string,
): void {
  if (wanted === undefined) sheet.skip(name, 'the policy does not ask for it');
  else
    sheet.step(
      name,
      () => body(wanted),
      (detail) => detail,
    );
}
