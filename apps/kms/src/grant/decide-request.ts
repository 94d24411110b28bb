import { grantReportData } from '@vouch/attestation';
import type { BootInfo, BootPolicy } from '@vouch/contracts';
import { type Check, canonicalJson } from '@vouch/domain';
import { p256PublicKey } from '@vouch/keys';
import { CheckLedger, type Finding, fails, holds } from '../checks/check-ledger.js';
import { type AppraisedFacts, EVIDENCE_CHECKS, type EvidenceOutcome } from '../evidence/appraised-facts.js';
import { judgeEpoch, judgeHost, judgeWanted } from '../placement/judge-placement.js';
import type { PlacementView } from '../placement/placement-view.js';
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
];

/**
 * Decides one request: evidence, claims, challenge, placement, policy, in that order. The verdict carries every check.
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
  const bootPolicy = await ports.policy(bootInfoOf(facts));
  const policy = policyReadOf(bootPolicy, settings);
  const isAllowed =
    ledger.record('policy.fresh', judgeFreshness(bootPolicy, ports.now(), settings.policyMaxAgeSeconds)) &&
    ledger.record('policy.app', judgePolicy(bootPolicy));
  if (!isAllowed) return deny(failureOf(ledger), policy.read);
  const { instance, release } = view;
  if (instance.status === 'absent' || instance.placement === null || release.status === 'absent') {
    throw new TypeError('the placement checks passed without a placement');
  }
  return {
    outcome: 'issued',
    checks: ledger.close(),
    collateral: evidence.collateral,
    composeHash: facts.identity.composeHash,
    policy: policy.read,
    unsafe: weakenings(settings, facts),
    facts,
    appId: instance.appId,
    address: instance.placement.address,
    ports: release.ports,
    gatewayAppId: policy.gatewayAppId,
  };
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
  return { appId, composeHash, instanceId, deviceId, mrAggregated, mrSystem, osImageHash, tcbStatus, advisoryIds };
}

/** Check `policy.fresh`. As far ahead as it may be old: a busy development chain dates its blocks a little ahead. */
function judgeFreshness({ block }: BootPolicy, now: Date, maxAgeSeconds: number): Finding {
  const ageSeconds = (now.getTime() - block.time.getTime()) / 1000;
  const said = `block ${block.number} of ${block.time.toISOString()}`;
  if (ageSeconds > maxAgeSeconds) return fails(`${said} is older than ${maxAgeSeconds} s`);
  if (ageSeconds < -maxAgeSeconds) return fails(`${said} is in the future`);
  return holds(said);
}

function judgePolicy({ isAllowed, reason, block }: BootPolicy): Finding {
  return isAllowed ? holds(`allowed at block ${block.number}`) : fails(reason === '' ? 'not allowed' : reason);
}

/** The read as the event carries it, and the gateway's app id when it has the form of one ("any" has not). */
function policyReadOf(policy: BootPolicy, settings: DecisionSettings) {
  const { chainId, block } = policy;
  const gateway = policy.gatewayAppId.toLowerCase().replace(/^0x/, '');
  const read: PolicyRead = {
    chainId,
    contract: settings.contract,
    block: block.number,
    blockHash: block.hash,
    blockTime: block.time.toISOString(),
  };
  return { read, gatewayAppId: /^[0-9a-f]{40}$/.test(gateway) ? gateway : '' };
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
