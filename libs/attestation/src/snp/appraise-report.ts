import { equalBytes, toHex } from '../bytes.js';
import type { Check, Refused } from '../check.js';
import { CheckSheet } from '../check-sheet.js';
import { snpDeviceId } from '../measurements/instance-identity.js';
import { Refusal } from '../refusal.js';
import { isChipIdMasked } from './parse-report.js';
import type { SnpAppraisalPolicy, SnpReferenceValues } from './policy.js';
import { describeTcb, partsBelow } from './tcb-version.js';
import { isAmdAnchor } from './trust-anchor.js';
import type { VerifiedSnpReport } from './verified-report.js';

/** Names of the checks `appraiseSnp` reports, in order. What the policy does not ask for is skipped, and says so. */
export const SNP_APPRAISE_CHECKS = [
  'policy.trust-anchor',
  'policy.revocation',
  'policy.signing-key',
  'policy.tcb-status',
  'policy.tcb-minimum',
  'policy.debug',
  'policy.migration-agent',
  'policy.vmpl',
  'policy.guest-policy',
  'policy.smt',
  'policy.platform',
  'policy.guest-svn',
  'policy.references',
  'policy.host-data',
  'policy.report-data',
] as const;

type CheckName = (typeof SNP_APPRAISE_CHECKS)[number];
type Sheet = CheckSheet<CheckName>;

declare const appraised: unique symbol;

/** A verified report that the policy accepts. */
export interface AppraisedSnpEvidence {
  readonly [appraised]: true;
  readonly verified: VerifiedSnpReport;
  /** SHA-256 of the 64-byte chip id: dstack's device id. Null when the host masks the id (VLEK only). */
  readonly deviceId: Uint8Array | null;
  /** Names of the weakenings of the policy in force, sorted. */
  readonly unsafe: readonly string[];
}

export type AppraiseSnpResult =
  | { readonly ok: true; readonly evidence: AppraisedSnpEvidence; readonly checks: readonly Check[] }
  | Refused;

/**
 * Decides about a verified report. Codes: `POLICY_TRUST_ANCHOR`, `POLICY_REVOCATION`, `POLICY_SIGNING_KEY`,
 * `POLICY_TCB_STATUS`, `POLICY_TCB_TOO_OLD`, `POLICY_DEBUG`, `POLICY_MIGRATION_AGENT`, `POLICY_VMPL`,
 * `POLICY_ATTRIBUTES`, `POLICY_SMT`, `POLICY_PLATFORM`, `POLICY_GUEST_SVN`, `POLICY_REFERENCE`, `POLICY_HOST_DATA`,
 * `POLICY_REPORT_DATA`.
 */
export function appraiseSnp(verified: VerifiedSnpReport, policy: SnpAppraisalPolicy): AppraiseSnpResult {
  const sheet: Sheet = new CheckSheet(SNP_APPRAISE_CHECKS);
  const result = sheet.settle((): AppraisedSnpEvidence => {
    appraiseOrigin(sheet, verified, policy);
    appraiseTcb(sheet, verified, policy);
    appraiseGuest(sheet, verified, policy);
    appraisePlatform(sheet, verified, policy);
    appraiseReferences(sheet, verified, policy);
    const { report } = verified;
    const deviceId = isChipIdMasked(report) ? null : snpDeviceId(report.chipId);
    // The stage brand exists only in the type system; this is the one place that gives it.
    return { verified, deviceId, unsafe: weakenings(policy) } as unknown as AppraisedSnpEvidence;
  });
  return result.ok ? { ok: true, evidence: result.value, checks: result.checks } : result;
}

function appraiseOrigin(sheet: Sheet, verified: VerifiedSnpReport, policy: SnpAppraisalPolicy): void {
  const { trustAnchor, revocationChecked, endorsement } = verified;
  const amd = isAmdAnchor(trustAnchor);
  rule(sheet, 'policy.trust-anchor', {
    holds: amd,
    yields: policy.unsafeTrustAnchorAccepted === true && 'unsafeTrustAnchorAccepted',
    refuse: ['POLICY_TRUST_ANCHOR', `"${trustAnchor.name}" ${trustAnchor.fingerprint} is not AMD's root`],
    fact: `"${trustAnchor.name}" ${trustAnchor.fingerprint}`,
  });
  rule(sheet, 'policy.revocation', {
    holds: revocationChecked,
    yields: policy.unsafeRevocationUnchecked === true && 'unsafeRevocationUnchecked',
    refuse: ['POLICY_REVOCATION', 'the signing key was not looked up in a CRL'],
    fact: revocationChecked ? 'looked up in the CRL' : 'not looked up in a CRL',
  });
  const { kind, cspId } = endorsement;
  rule(sheet, 'policy.signing-key', {
    holds: kind === 'VCEK',
    yields: cspId !== null && policy.unsafeVlekProviders?.includes(cspId) === true && 'unsafeVlekProviders',
    refuse: ['POLICY_SIGNING_KEY', `the key is a VLEK of provider "${cspId}"`],
    fact: cspId === null ? kind : `${kind} of provider "${cspId}"`,
  });
}

function appraiseTcb(sheet: Sheet, { tcb, product }: VerifiedSnpReport, policy: SnpAppraisalPolicy): void {
  rule(sheet, 'policy.tcb-status', {
    holds: tcb.status === 'UpToDate',
    yields: policy.unsafeAcceptedStatuses?.includes(tcb.status) === true && 'unsafeAcceptedStatuses',
    refuse: ['POLICY_TCB_STATUS', 'the current, reported, committed and launch levels differ'],
    fact: tcb.status,
  });
  const minimum = policy.minimumTcb?.[product];
  if (minimum !== undefined) {
    const low = partsBelow(tcb.reported, minimum);
    rule(sheet, 'policy.tcb-minimum', {
      holds: low.length === 0,
      yields: false,
      refuse: ['POLICY_TCB_TOO_OLD', `${low.join(', ')} below the minimum: ${describeTcb(tcb.reported)}`],
      fact: `at least ${describeTcb(minimum)}`,
    });
    return;
  }
  rule(sheet, 'policy.tcb-minimum', {
    holds: false,
    // A policy that names minimums of other product lines does not speak of this one.
    yields:
      policy.minimumTcb === undefined && policy.unsafeMinimumTcbNotRequired === true && 'unsafeMinimumTcbNotRequired',
    refuse: ['POLICY_TCB_TOO_OLD', `the policy names no minimum levels for ${product}`],
    fact: 'no minimum',
  });
}

function appraiseGuest(sheet: Sheet, { report }: VerifiedSnpReport, policy: SnpAppraisalPolicy): void {
  const { policy: guest, vmpl } = report;
  rule(sheet, 'policy.debug', {
    holds: !guest.debugAllowed,
    yields: policy.unsafeDebugAccepted === true && 'unsafeDebugAccepted',
    refuse: ['POLICY_DEBUG', 'the guest policy allows debugging'],
    fact: guest.debugAllowed ? 'debugging is allowed' : 'debugging is not allowed',
  });
  rule(sheet, 'policy.migration-agent', {
    holds: !guest.migrationAgentAllowed,
    yields: policy.unsafeMigrationAgentAccepted === true && 'unsafeMigrationAgentAccepted',
    refuse: ['POLICY_MIGRATION_AGENT', 'the guest policy allows a migration agent'],
    fact: guest.migrationAgentAllowed ? 'a migration agent is allowed' : 'no migration agent is allowed',
  });
  rule(sheet, 'policy.vmpl', {
    holds: vmpl === 0,
    yields: policy.unsafeAcceptedVmpls?.includes(vmpl) === true && 'unsafeAcceptedVmpls',
    refuse: ['POLICY_VMPL', `the report was asked for at privilege level ${vmpl}`],
    fact: `privilege level ${vmpl}`,
  });
  rule(sheet, 'policy.guest-policy', {
    holds: guest.reserved === '',
    yields: false,
    refuse: ['POLICY_ATTRIBUTES', `reserved guest policy bits ${guest.reserved} are set`],
    fact: `0x${guest.raw.toString(16)}: no reserved bit`,
  });
  optional(sheet, 'policy.guest-svn', policy.minimumGuestSvn, (min) => ({
    holds: report.guestSvn >= min,
    yields: false,
    refuse: ['POLICY_GUEST_SVN', `the guest SVN is ${report.guestSvn}, at least ${min} is required`],
    fact: `${report.guestSvn} is at least ${min}`,
  }));
}

/** What the guest policy demands of the platform must be so, and what this policy demands besides. */
function appraisePlatform(sheet: Sheet, { report }: VerifiedSnpReport, policy: SnpAppraisalPolicy): void {
  const { policy: guest, platformInfo: platform } = report;
  const forbidden = policy.smt === 'forbidden';
  const smtHeld = (guest.smtAllowed || !platform.smtEnabled) && !(forbidden && guest.smtAllowed);
  rule(sheet, 'policy.smt', {
    holds: smtHeld,
    yields: false,
    refuse: ['POLICY_SMT', guest.smtAllowed ? 'the guest policy allows SMT' : 'SMT is on against the guest policy'],
    fact: guest.smtAllowed ? 'allowed by the guest policy' : 'forbidden by the guest policy, and off',
  });
  const missing = [
    ...(platform.reserved === '' ? [] : [`reserved bits ${platform.reserved} set`]),
    ...(guest.raplDisabledRequired && !platform.raplDisabled ? ['raplDisabled missing'] : []),
    ...(guest.ciphertextHidingRequired && !platform.ciphertextHidingEnabled ? ['ciphertextHidingEnabled missing'] : []),
    ...(policy.requiredPlatformStates ?? []).filter((state) => !platform[state]).map((state) => `${state} missing`),
  ];
  rule(sheet, 'policy.platform', {
    holds: missing.length === 0,
    yields: false,
    refuse: ['POLICY_PLATFORM', missing.join(', ')],
    fact: `0x${platform.raw.toString(16)} has what is required`,
  });
}

function appraiseReferences(sheet: Sheet, { report }: VerifiedSnpReport, policy: SnpAppraisalPolicy): void {
  optional(sheet, 'policy.references', policy.references, (references) => {
    const names = Object.keys(references).filter((name): name is keyof SnpReferenceValues => name in references);
    const used = names.filter((name) => references[name] !== undefined);
    const bad = used.find((name) => !(references[name] ?? []).some((value) => equalBytes(value, report[name])));
    return {
      holds: bad === undefined,
      yields: false,
      refuse: ['POLICY_REFERENCE', bad === undefined ? '' : `${bad} ${toHex(report[bad])} is not a reference value`],
      fact: used.length === 0 ? 'no reference values' : `${used.join(', ')} match`,
    };
  });
  const equals = (name: 'hostData' | 'reportData', code: string) => (expected: Uint8Array) =>
    ({
      holds: equalBytes(report[name], expected),
      yields: false,
      refuse: [code, `${name} is ${toHex(report[name])}, not ${toHex(expected)}`],
      fact: 'equal',
    }) as const;
  optional(sheet, 'policy.host-data', policy.hostData, equals('hostData', 'POLICY_HOST_DATA'));
  optional(sheet, 'policy.report-data', policy.reportData, equals('reportData', 'POLICY_REPORT_DATA'));
}

interface Rule {
  readonly holds: boolean;
  /** Name of the weakening that lets a rule that does not hold pass; false when none is in force. */
  readonly yields: string | false;
  /** Code and message of the refusal. */
  readonly refuse: readonly [string, string];
  readonly fact: string;
}

function rule(sheet: Sheet, name: CheckName, { holds, yields, refuse, fact }: Rule): void {
  sheet.step(
    name,
    () => {
      if (!holds && yields === false) throw new Refusal(...refuse);
    },
    () => (holds ? fact : `${fact}, by ${yields}`),
  );
}

function optional<T>(sheet: Sheet, name: CheckName, wanted: T | undefined, body: (wanted: T) => Rule): void {
  if (wanted === undefined) sheet.skip(name, 'the policy does not ask for it');
  else rule(sheet, name, body(wanted));
}

function weakenings(policy: SnpAppraisalPolicy): readonly string[] {
  return Object.entries(policy)
    .filter(([name, value]) => name.startsWith('unsafe') && (Array.isArray(value) ? value.length > 0 : value === true))
    .map(([name]) => name)
    .sort();
}
