import { toHex } from '../bytes.js';
import type { Check } from '../check.js';
import { deviceId } from '../measurements/derive-measurements.js';
import type { EvidencePolicy } from './evidence-policy.js';
import type { ExaminationFacts } from './examination.js';

/** What the policy demands of the guest itself. What it names must be proven: a fact that is missing fails. */
export function judgeIdentity(policy: EvidencePolicy, facts: ExaminationFacts): readonly Check[] {
  const { identity, verified, osImage } = facts;
  const device = verified === null ? null : toHex(deviceId(verified.pck.ppid));
  return [
    judgeProcessGuest(policy, facts),
    oneOf('policy.app-id', policy.appIds, identity?.appId),
    oneOf('policy.compose-hash', policy.composeHashes, identity?.composeHash),
    oneOf('policy.instance-id', policy.instanceIds, identity?.instanceId),
    oneOf('policy.os-image-hash', policy.osImageHashes, osImage?.osImageHash),
    oneOf('policy.device-id', policy.deviceIds, device),
    oneOf('policy.key-provider', policy.keyProviderIds, keyProvider(identity?.keyProviderInfo)?.id),
  ];
}

/** The key-provider event's payload: `{"name":…,"id":…}`; null when it is absent or something else. */
export function keyProvider(
  info: Uint8Array | null | undefined,
): { readonly name: string; readonly id: string } | null {
  if (info === null || info === undefined) return null;
  try {
    const json = JSON.parse(Buffer.from(info).toString('utf8')) as { name?: unknown; id?: unknown } | null;
    if (typeof json?.name !== 'string' || typeof json.id !== 'string') return null;
    return { name: json.name, id: json.id };
  } catch {
    return null;
  }
}

function judgeProcessGuest(policy: EvidencePolicy, { osImage }: ExaminationFacts): Check {
  const name = 'policy.process-guest';
  if (osImage?.isProcessGuest !== true) {
    return { name, outcome: 'skipped', detail: 'the evidence does not say it is a process guest' };
  }
  return policy.unsafeProcessGuestAccepted === true
    ? { name, outcome: 'pass', detail: 'a process of its host, by unsafeProcessGuestAccepted' }
    : { name, outcome: 'fail', detail: 'the guest is a process of its host, which can read its memory' };
}

function oneOf(name: string, allowed: readonly string[] | undefined, value: string | null | undefined): Check {
  if (allowed === undefined) return { name, outcome: 'skipped', detail: 'the policy does not ask for it' };
  if (value === null || value === undefined) {
    return { name, outcome: 'fail', detail: 'the policy asks for it, but the evidence does not prove it' };
  }
  return allowed.includes(value)
    ? { name, outcome: 'pass', detail: value || '(empty)' }
    : { name, outcome: 'fail', detail: `${value || '(empty)'} is not one of ${allowed.length} allowed` };
}
