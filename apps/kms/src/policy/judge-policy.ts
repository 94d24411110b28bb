import { type Finding, fails, holds } from '../checks/check-ledger.js';
import type { PolicyRead } from '../grant/grant-verdict.js';
import type { PolicyDecision } from './policy-source.js';

/**
 * Check `policy.fresh`: the policy's epoch is no older than `maxAgeSeconds` (null: no limit is set, as for a file that
 * seldom changes). As far ahead as it may be old: a busy development chain dates its blocks a little ahead.
 */
export function judgeFreshness(decision: PolicyDecision, now: Date, maxAgeSeconds: number | null): Finding {
  const said = epochOf(decision);
  if (maxAgeSeconds === null) return holds(`${said}; no maximum age is set`);
  const age = (now.getTime() - decision.asOf.getTime()) / 1000;
  if (age > maxAgeSeconds) return fails(`${said} is older than ${maxAgeSeconds} s`);
  if (age < -maxAgeSeconds) return fails(`${said} is in the future`);
  return holds(said);
}

/** Check `policy.app`: in the policy's own words. */
export function judgeDecision({ isAllowed, reason, origin }: PolicyDecision): Finding {
  if (!isAllowed) return fails(reason === '' ? 'not allowed' : reason);
  return holds(origin.source === 'contract' ? `allowed at block ${origin.block}` : `allowed by ${origin.source}`);
}

/** The read as the event carries it. */
export function policyReadOf({ origin, asOf }: PolicyDecision, now: Date): PolicyRead {
  const ageSeconds = Math.floor((now.getTime() - asOf.getTime()) / 1000);
  const time = asOf.toISOString();
  switch (origin.source) {
    case 'contract':
      return { ...origin, blockTime: time, ageSeconds };
    case 'file':
      return { ...origin, modifiedAt: time, ageSeconds };
    case 'webhook':
      return { ...origin, answeredAt: time, ageSeconds };
  }
}

/** The gateway's app id when it has the form of one ("any" has not), else empty. */
export function gatewayAppIdOf({ gatewayAppId }: PolicyDecision): string {
  const bare = gatewayAppId.toLowerCase().replace(/^0x/, '');
  return /^[0-9a-f]{40}$/.test(bare) ? bare : '';
}

function epochOf({ origin, asOf }: PolicyDecision): string {
  const time = asOf.toISOString();
  switch (origin.source) {
    case 'contract':
      return `block ${origin.block} of ${time}`;
    case 'file':
      return `file ${origin.digest.slice(0, 16)} of ${time}`;
    case 'webhook':
      return `answer of ${origin.host} at ${time}`;
  }
}
