import { grantReportData } from '@vouch/attestation';
import type { BootInfo } from '@vouch/contracts';
import { type Check, canonicalJson } from '@vouch/domain';
import { p256PublicKey } from '@vouch/keys';
import { CheckLedger, type Finding, fails, holds } from '../checks/check-ledger.js';
import { type AppraisedFacts, EVIDENCE_CHECKS, type EvidenceOutcome } from '../evidence/appraised-facts.js';
import { judgeEpoch, judgeHost, judgeWanted } from '../placement/judge-placement.js';
import type { PlacementView } from '../placement/placement-view.js';
import { gatewayAppIdOf, judgeDecision, judgeFreshness, policyReadOf } from '../policy/judge-policy.js';
import { activeKeyEpoch, type KeyEpochs } from '../root/key-epochs.js';
import type { DecisionPorts, DecisionSettings } from './decision-ports.js';
import type { GrantRequest } from './grant-request.js';
import type { DeniedVerdict, GrantVerdict, PolicyRead } from './grant-verdict.js';

/** Every check of a decision, in the order they run. The first that fails decides. */
export const DECISION_CHECKS: readonly string[] = [
  ...EVIDENCE_CHECKS,
  'claims.bound',
  'challenge.fresh',
  'placement.host',
  'placement.epoch',
  'placement.wanted',
  'release.compose-hash',
  'policy.fresh',
  'policy.app',
  'key-epoch.active',
];

/**
 * Decides one request: evidence, claims, challenge, placement, policy, key epoch, in that order. The verdict carries every check.
 * Deciding twice gives the same outcome as long as the world is the same; only the challenge is used up, and it knows by
 * whom. Throws (retryable) when a source of facts is away.
 */
export async function decideRequest(
  request: GrantRequest,
  ports: DecisionPorts,
  settings: DecisionSettings,
): Promise<GrantVerdict> {
  const ledger = new CheckLedger(DECISION_CHECKS);
  const { data, requestId } = request;
  const evidence = await ports.appraise(data.evidence);
  ledger.absorb(evidence.checks);
  const deny = (failed: Check, policy: PolicyRead | null) => deniedVerdict(ledger, failed, evidence, policy, settings);
  if (!evidence.ok || ledger.failed !== undefined) return deny(failureOf(ledger), null);
  const { facts } = evidence;
  const place = { hostId: data.hostId, instanceId: data.instanceId, epoch: data.epoch };
  if (!ledger.record('claims.bound', judgeClaims(request, facts))) return deny(failureOf(ledger), null);
  const use = await ports.useChallenge(data.claims.challenge, place, requestId);
  const fresh = use.ok ? holds('given to this guest and not used before') : fails(use.reason);
  if (!ledger.record('challenge.fresh', fresh)) return deny(failureOf(ledger), null);
  const view = await ports.placement(data.instanceId);
  const isPlaced =
    ledger.record('placement.host', judgeHost(view.instance, data)) &&
    ledger.record('placement.epoch', judgeEpoch(view.instance, data)) &&
    ledger.record('placement.wanted', judgeWanted(view.instance)) &&
    ledger.record('release.compose-hash', judgeRelease(view, facts));
  if (!isPlaced) return deny(failureOf(ledger), null);
  const word = await ports.policy(bootInfoOf(facts));
  const now = ports.now();
  const policy = policyReadOf(word, now);
  const isAllowed =
    ledger.record('policy.fresh', judgeFreshness(word, now, settings.policyMaxAgeSeconds)) &&
    ledger.record('policy.app', judgeDecision(word));
  if (!isAllowed) return deny(failureOf(ledger), policy);
  const epochs = await ports.keyEpochs();
  const keyEpoch = activeKeyEpoch(epochs);
  ledger.record('key-epoch.active', judgeKeyEpoch(epochs));
  if (keyEpoch === undefined) return deny(failureOf(ledger), policy);
  const { instance, release } = view;
  if (instance.status === 'absent' || instance.placement === null || release.status === 'absent') {
    throw new TypeError('the placement checks passed without a placement');
  }
  return {
    outcome: 'issued',
    checks: ledger.close(),
    collateral: evidence.collateral,
    composeHash: facts.identity.composeHash,
    policy,
    unsafe: weakenings(settings, facts),
    facts,
    appId: instance.appId,
    address: instance.placement.address,
    ports: release.ports,
    gatewayAppId: gatewayAppIdOf(word),
    keyEpoch,
    earlierKeyEpochs: earlierKeyEpochs(epochs, keyEpoch),
  };
}

/** Check `key-epoch.active`: there is an epoch that new grants may carry keys of. */
function judgeKeyEpoch(epochs: KeyEpochs): Finding {
  const active = activeKeyEpoch(epochs);
  if (active !== undefined) return holds(`key epoch ${active} is active`);
  const last = epochs.findLast(({ status }) => status === 'tainted' || status === 'revoked');
  return fails(
    `no key epoch is active: ${last?.keyEpoch ?? 'the last'} is ${last?.status ?? 'over'} (${last?.reason ?? ''})`,
  );
}

/** Epochs before the active one that a guest may have sealed data in: all that are not revoked. */
function earlierKeyEpochs(epochs: KeyEpochs, active: number): number[] {
  return epochs
    .filter(({ keyEpoch, status }) => keyEpoch < active && (status === 'superseded' || status === 'tainted'))
    .map(({ keyEpoch }) => keyEpoch);
}

/** Check `claims.bound`: the quote's report data covers exactly these claims, and they speak of the measured guest. */
function judgeClaims({ data }: GrantRequest, facts: AppraisedFacts): Finding {
  const { claims } = data;
  if (Buffer.compare(grantReportData(canonicalJson(claims)), facts.reportData) !== 0) {
    return fails('the report data of the quote does not cover these claims');
  }
  if (claims.hostId !== data.hostId || claims.instanceId !== data.instanceId || claims.epoch !== data.epoch) {
    return fails('the claims name another host, instance or epoch than the submission');
  }
  if (claims.appId !== facts.identity.appId) return fails(`the measured app is ${facts.identity.appId}`);
  if (claims.instanceId !== facts.identity.instanceId) {
    return fails(`the measured instance is ${facts.identity.instanceId || '(none)'}`);
  }
  if (isZero(claims.hpkeKey) || isZero(claims.wireguardKey)) return fails('a claimed key is all zero');
  try {
    p256PublicKey(Buffer.from(claims.tlsKey, 'hex'));
  } catch {
    return fails('tlsKey is not a P-256 public key');
  }
  return holds('report data covers the claims, which name the measured guest');
}

function judgeRelease({ instance, release }: PlacementView, { identity }: AppraisedFacts): Finding {
  if (instance.status === 'absent') return fails('there is no such instance');
  if (release.status === 'absent') return fails(`there is no release ${instance.releaseId}`);
  if (identity.appId !== instance.appId) {
    return fails(`the instance is of app ${instance.appId}, the guest measured ${identity.appId}`);
  }
  if (identity.composeHash !== instance.composeHash || identity.composeHash !== release.composeHash) {
    return fails(`the release has compose hash ${release.composeHash}, the guest measured ${identity.composeHash}`);
  }
  return holds(`compose hash ${identity.composeHash} of release ${instance.releaseId}`);
}

function bootInfoOf(facts: AppraisedFacts): BootInfo {
  const { identity, deviceId, mrAggregated, mrSystem, osImageHash, tcbStatus, advisoryIds } = facts;
  const { appId, composeHash, instanceId } = identity;
  const keyProviderInfo = Buffer.from(identity.keyProviderInfo ?? []).toString('hex');
  const measured = { deviceId, mrAggregated, mrSystem, osImageHash, tcbStatus, advisoryIds };
  return { teeVariant: 'dstack-tdx', appId, composeHash, instanceId, keyProviderInfo, ...measured };
}

function deniedVerdict(
  ledger: CheckLedger,
  failed: Check,
  evidence: EvidenceOutcome,
  policy: PolicyRead | null,
  settings: DecisionSettings,
): DeniedVerdict {
  return {
    outcome: 'denied',
    failedCheck: failed.name,
    reason: failed.detail === '' ? 'refused' : failed.detail,
    checks: ledger.close(),
    collateral: evidence.collateral,
    composeHash: evidence.ok ? evidence.facts.identity.composeHash : null,
    policy,
    unsafe: weakenings(settings, evidence.ok ? evidence.facts : null),
  };
}

function failureOf(ledger: CheckLedger): Check {
  if (ledger.failed === undefined) throw new TypeError('a denial needs a failed check');
  return ledger.failed;
}

function weakenings(settings: DecisionSettings, facts: AppraisedFacts | null): string[] {
  return [...new Set([...settings.unsafe, ...(facts?.unsafe ?? [])])].sort();
}

function isZero(hex: string): boolean {
  return /^0*$/.test(hex);
}
