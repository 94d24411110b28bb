import type { TrustAnchor } from '@vouch/attestation';
import type { Check, EventData } from '@vouch/domain';
import type { StoredEvent } from '@vouch/eventstore';
import { type LoggedEvidence, type RecheckedEvidence, recheckEvidence } from './recheck-evidence.js';
import { type PlacementCheck, placementAnswers } from './recheck-placement.js';

export type GrantEvent = StoredEvent<'grant.issued'> | StoredEvent<'grant.denied'>;

/** One logged check beside what it gives today. `again` is `skipped` with the reason when it could not run again. */
export interface RecheckedCheck {
  readonly name: string;
  readonly logged: Check['outcome'];
  readonly again: Check['outcome'];
  readonly detail: string;
}

/** One decision verified again. `confirmed`: the quote was verified and no check differs. */
export interface GrantRecheck {
  readonly seq: number;
  readonly requestSeq: number;
  readonly instanceId: string;
  readonly decidedAt: string;
  readonly outcome: 'issued' | 'denied';
  readonly verdict: 'confirmed' | 'differs' | 'skipped';
  /** Why the verdict is not `confirmed`; empty otherwise. */
  readonly reason: string;
  /** What policy was read and when (a contract's block, a file's digest), taken as logged; null when not reached. */
  readonly policy: string | null;
  readonly checks: readonly RecheckedCheck[];
}

/** What the log holds on one decision. */
export interface DecisionSources {
  readonly evidence: LoggedEvidence;
  /** Events of the instance before the decision, in order. */
  readonly instance: readonly StoredEvent[];
}

const PLACEMENT_CHECKS: ReadonlySet<string> = new Set<PlacementCheck>([
  'placement.host',
  'placement.epoch',
  'placement.wanted',
  'release.compose-hash',
]);

/** Read from a contract at a pinned block, which the log names but does not hold. */
const CHAIN_CHECKS: ReadonlySet<string> = new Set(['policy.fresh', 'policy.app']);

/** A decision whose request event is not what it names. */
export function unfoundedGrant(grant: GrantEvent, reason: string): GrantRecheck {
  const checks = grant.envelope.data.checks.map(({ name, outcome }) => skipped(name, outcome, 'no request to check'));
  return { ...heading(grant), verdict: 'differs', reason, checks };
}

/** Verifies one decision again and compares it check by check with what was logged. Pure: no clock, no network. */
export function recheckGrant(
  grant: GrantEvent,
  sources: DecisionSources,
  anchors: readonly TrustAnchor[],
): GrantRecheck {
  const again = recheckEvidence(sources.evidence, anchors);
  const checks = grant.envelope.data.checks.map((logged) => recheckOne(logged, grant, sources, again));
  const differing =
    checks.find(({ logged, again: now }) => now !== 'skipped' && now !== logged) ?? wrongly(grant, again);
  const isVerified = again.checks.has('quote.signature') || !isIssued(grant);
  const verdict = differing !== undefined ? 'differs' : isVerified ? 'confirmed' : 'skipped';
  const reason =
    differing !== undefined
      ? `${differing.name} was logged as ${differing.logged} and is ${differing.again}: ${differing.detail}`
      : isVerified
        ? ''
        : (again.stopped ?? 'the quote was not verified again');
  return { ...heading(grant), verdict, reason, checks };
}

function isIssued(grant: GrantEvent): boolean {
  return grant.envelope.type === 'grant.issued';
}

/** A check that fails now though keys were issued, whether the decision listed it or not. */
function wrongly(grant: GrantEvent, again: RecheckedEvidence): RecheckedCheck | undefined {
  const failed = [...again.checks.values()].find(({ outcome }) => outcome === 'fail');
  if (failed === undefined || !isIssued(grant)) return undefined;
  return { name: failed.name, logged: 'pass', again: 'fail', detail: failed.detail };
}

function heading(grant: GrantEvent) {
  const { data, time } = grant.envelope;
  return {
    seq: grant.seq,
    requestSeq: data.requestSeq,
    instanceId: data.instanceId,
    decidedAt: time,
    outcome: isIssued(grant) ? ('issued' as const) : ('denied' as const),
    policy: policyText(data.policy),
  };
}

function recheckOne(
  { name, outcome }: Check,
  grant: GrantEvent,
  sources: DecisionSources,
  again: RecheckedEvidence,
): RecheckedCheck {
  if (outcome === 'skipped') return skipped(name, outcome, 'did not run when it was decided');
  if (CHAIN_CHECKS.has(name)) return skipped(name, outcome, policyNote(grant.envelope.data));
  if (name.startsWith('challenge.')) {
    return skipped(name, outcome, 'taken as logged: which challenges were given out and used is not in the log');
  }
  if (PLACEMENT_CHECKS.has(name)) return recheckPlacement(name as PlacementCheck, outcome, grant, sources, again);
  const check = again.checks.get(name);
  if (check !== undefined) return { name, logged: outcome, again: check.outcome, detail: check.detail };
  return skipped(name, outcome, again.stopped ?? 'this replay has no rule for it');
}

function recheckPlacement(
  name: PlacementCheck,
  outcome: Check['outcome'],
  grant: GrantEvent,
  { instance }: DecisionSources,
  { identity }: RecheckedEvidence,
): RecheckedCheck {
  const { hostId, epoch, requestSeq } = grant.envelope.data;
  if (name === 'release.compose-hash' && identity === undefined) return skipped(name, outcome, 'no measured identity');
  const answers = placementAnswers(name, { hostId, epoch, measured: identity }, instance, requestSeq);
  if (answers.has(outcome === 'pass')) {
    return { name, logged: outcome, again: outcome, detail: 'follows from the log at the time of the decision' };
  }
  const detail = 'does not follow from the log between request and decision';
  return { name, logged: outcome, again: outcome === 'pass' ? 'fail' : 'pass', detail };
}

function policyNote({ policy }: EventData<'grant.issued'> | EventData<'grant.denied'>): string {
  const text = policyText(policy);
  return text === null ? 'policy was not reached' : `taken as logged: ${text}`;
}

function policyText(policy: EventData<'grant.issued'>['policy']): string | null {
  if (policy === null) return null;
  switch (policy.source) {
    case 'file':
      return `policy file ${policy.digest} of ${policy.modifiedAt}`;
    case 'webhook':
      return `answer of ${policy.host} at ${policy.answeredAt}`;
    default:
      return `contract ${policy.contract} on chain ${policy.chainId} at block ${policy.block} (${policy.blockHash})`;
  }
}

function skipped(name: string, logged: Check['outcome'], detail: string): RecheckedCheck {
  return { name, logged, again: 'skipped', detail };
}
