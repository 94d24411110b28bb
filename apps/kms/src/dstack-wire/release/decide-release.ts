import { bootTimeMeasurements, deriveMeasurements, type TdReport } from '@vouch/attestation';
import type { BootInfo, BootKind } from '@vouch/contracts';
import type { Check } from '@vouch/domain';
import { CheckLedger, type Finding } from '../../checks/check-ledger.js';
import { weakeningName } from '../../evidence/evidence-appraiser.js';
import type { PolicyRead } from '../../grant/grant-verdict.js';
import { judgeDecision, judgeFreshness, policyReadOf } from '../../policy/judge-policy.js';
import type { PolicySource } from '../../policy/policy-source.js';
import { type AttestedGuest, type JudgedEvidence, PRESENTED_CHECKS } from '../guest/judge-evidence.js';
import { type GuestImageRules, judgeGuestImage } from '../guest/judge-guest-image.js';
import type { ReleaseVerdict } from './release-verdict.js';

/** Checks of a release, in the order they run; those of the method itself follow. */
const RELEASE_CHECKS: readonly string[] = [
  ...PRESENTED_CHECKS,
  'os-image.measurement',
  'key-epoch.good',
  'policy.fresh',
  'policy.app',
];

export interface ReleaseQuestion {
  readonly judged: JudgedEvidence;
  /** vm_config of the request; empty: the attestation's counts. */
  readonly vmConfig: string;
  /** Whose policy is asked. */
  readonly kind: BootKind;
  /** Measurements as they were when the guest had just booted (SignCert), instead of all it measured since. */
  readonly isBootTime: boolean;
  /** A last check of the method's own, made when everything else holds. */
  readonly last?: { readonly name: string; readonly judge: (bootInfo: BootInfo) => Promise<Finding> };
}

export interface ReleasePorts {
  readonly policy: PolicySource;
  /** Whether the root keys may still be used, as the log has it now. */
  readonly keyEpoch: () => Promise<Finding>;
  /** Seconds; null: no limit. */
  readonly policyMaxAgeSeconds: number | null;
  readonly imageRules: GuestImageRules;
  /** Weakenings in force whatever the evidence. */
  readonly unsafe: readonly string[];
  readonly now: () => Date;
}

/**
 * Decides whether something may leave: the evidence as judged, then the OS image, then the policy. Unlike dstack's KMS the
 * policy is asked last, so that it is never shown an OS image hash that only the caller vouches for. Throws (retryable) when
 * the policy's source is away.
 */
export async function decideRelease(question: ReleaseQuestion, ports: ReleasePorts): Promise<ReleaseVerdict> {
  const { judged, last } = question;
  const { guest, presented } = judged;
  const ledger = new CheckLedger(last === undefined ? RELEASE_CHECKS : [...RELEASE_CHECKS, last.name]);
  ledger.absorb(judged.checks);
  const vmConfig = question.vmConfig || presented.attestation.stack.config || '{}';
  const unsafe = new Set([...ports.unsafe, ...(guest?.appraised.unsafe ?? []).map(weakeningName)]);
  const refused = (policy: PolicyRead | null): ReleaseVerdict => ({
    outcome: 'refused',
    ...{ judged, vmConfig, policy, failed: failureOf(ledger), checks: ledger.close(), unsafe: [...unsafe].sort() },
  });
  if (guest === null) return refused(null);
  const image = await judgeGuestImage(guest, presented.attestation, vmConfig, ports.imageRules);
  if (image.isProcessGuest) unsafe.add('unsafeProcessGuest');
  if (!ledger.record('os-image.measurement', image)) return refused(null);
  if (!ledger.record('key-epoch.good', await ports.keyEpoch())) return refused(null);
  const bootInfo = bootInfoOf(guest, image.osImageHash, question.isBootTime);
  const word = await ports.policy.read(question.kind, bootInfo);
  const now = ports.now();
  const policy = policyReadOf(word, now);
  const isAllowed =
    ledger.record('policy.fresh', judgeFreshness(word, now, ports.policyMaxAgeSeconds)) &&
    ledger.record('policy.app', judgeDecision(word)) &&
    (last === undefined || ledger.record(last.name, await last.judge(bootInfo)));
  if (!isAllowed) return refused(policy);
  const { gatewayAppId } = word;
  const checks = ledger.close();
  return { outcome: 'allowed', judged, vmConfig, checks, unsafe: [...unsafe].sort(), bootInfo, policy, gatewayAppId };
}

/** What dstack's authorisation servers are told (dstack-kms §12, §15). */
function bootInfoOf({ appraised, identity, log }: AttestedGuest, osImageHash: string, isBootTime: boolean): BootInfo {
  const { quote, tcb } = appraised.verified;
  const report = tdReport(quote.report);
  // At boot time no key provider is known yet, whatever was measured since.
  const keyProviderInfo = isBootTime ? null : identity.keyProviderInfo;
  const measured = isBootTime ? bootTimeMeasurements(report, log) : deriveMeasurements(report, keyProviderInfo);
  const { appId, composeHash, instanceId } = identity;
  return {
    ...{ teeVariant: 'dstack-tdx', appId, composeHash, instanceId, osImageHash },
    deviceId: hex(appraised.deviceId),
    mrAggregated: hex(measured.mrAggregated),
    mrSystem: hex(measured.mrSystem),
    keyProviderInfo: hex(keyProviderInfo ?? new Uint8Array()),
    tcbStatus: tcb.status,
    advisoryIds: tcb.advisoryIds,
  };
}

function tdReport(report: { readonly kind: string }): TdReport {
  if (report.kind === 'sgx') throw new TypeError('an SGX quote cannot have passed the OS image check');
  return report as TdReport;
}

function failureOf(ledger: CheckLedger): Check {
  if (ledger.failed === undefined) throw new TypeError('a refusal needs a failed check');
  return ledger.failed;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
