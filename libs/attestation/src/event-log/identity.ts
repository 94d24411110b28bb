import { equalBytes, toHex } from '../bytes.js';
import { CheckSheet } from '../check-sheet.js';
import { Refusal } from '../refusal.js';
import { isRuntimeEvent } from './replay.js';
import type { BoundEventLog, EventLogIdentity, IdentityResult, TdxEvent } from './tdx-event.js';

/** Names the identity is read from. Each may stand at most once before `system-ready`. */
const CLAIMS = [
  'system-preparing',
  'app-id',
  'compose-hash',
  'instance-id',
  'boot-mr-done',
  'os-image-hash',
  'rootfs-hash',
  'gpu-policy-hash',
  'key-provider',
] as const;
type Claim = (typeof CLAIMS)[number];

/** A guest that fails over to a second KMS measures os-image-hash again; an equal repeat changes no claim. */
const REPEATABLE: ReadonlySet<string> = new Set<Claim>(['os-image-hash']);

const INIT_SCRIPTS_MAX = 5;
const SYSTEM_READY = 'system-ready';

/**
 * Check `event-log.identity`: what the guest measured before `system-ready` (after it, the app itself may emit events).
 * Requires app-id (20 bytes), compose-hash (32) and instance-id (20, or empty). Codes: `IDENTITY_DUPLICATE`,
 * `IDENTITY_MISSING`, `IDENTITY_FORMAT`.
 */
export function identityFromEventLog(log: BoundEventLog): IdentityResult {
  const sheet = new CheckSheet(['event-log.identity'] as const);
  const result = sheet.settle(() =>
    sheet.step(
      'event-log.identity',
      () => readIdentity(log.events),
      (identity) =>
        `app ${identity.appId}, compose ${identity.composeHash}, instance ${identity.instanceId || '(none)'}`,
    ),
  );
  return result.ok ? { ok: true, identity: result.value, checks: result.checks } : result;
}

/** The same on events that nothing vouches for yet. @throws Refusal */
export function readIdentity(events: readonly TdxEvent[]): EventLogIdentity {
  const runtime = events.filter(isRuntimeEvent);
  const readyAt = runtime.findIndex((event) => event.event === SYSTEM_READY);
  const early = readyAt < 0 ? runtime : runtime.slice(0, readyAt);
  const claims = collect(early);
  const scripts = early.filter((event) => event.event === 'init-script-hash').map((event) => sized(event, 32));
  if (scripts.length > INIT_SCRIPTS_MAX) {
    throw new Refusal('IDENTITY_FORMAT', `more than ${INIT_SCRIPTS_MAX} init-script-hash events`);
  }
  const optional = (claim: Claim, sizeBytes: number): string | null => {
    const event = claims.get(claim);
    return event === undefined ? null : sized(event, sizeBytes);
  };
  return {
    appId: sized(required(claims, 'app-id'), 20),
    composeHash: sized(required(claims, 'compose-hash'), 32),
    instanceId: sized(required(claims, 'instance-id'), 20, 0),
    osImageHash: optional('os-image-hash', 32),
    rootfsHash: optional('rootfs-hash', 32),
    gpuPolicyHash: optional('gpu-policy-hash', 32),
    initScriptHashes: scripts,
    keyProviderInfo: claims.get('key-provider')?.payload ?? null,
    bootMrDone: claims.has('boot-mr-done'),
    systemReady: readyAt >= 0,
  };
}

function collect(events: readonly TdxEvent[]): ReadonlyMap<string, TdxEvent> {
  const claims = new Map<string, TdxEvent>();
  for (const event of events) {
    if (!CLAIMS.some((claim) => claim === event.event)) continue;
    const first = claims.get(event.event);
    if (first === undefined) {
      claims.set(event.event, event);
    } else if (!REPEATABLE.has(event.event) || !equalBytes(first.payload, event.payload)) {
      throw new Refusal('IDENTITY_DUPLICATE', `${event.event} was measured twice before ${SYSTEM_READY}`);
    }
  }
  return claims;
}

function required(claims: ReadonlyMap<string, TdxEvent>, claim: Claim): TdxEvent {
  const event = claims.get(claim);
  if (event === undefined) throw new Refusal('IDENTITY_MISSING', `${claim} was not measured before ${SYSTEM_READY}`);
  return event;
}

function sized(event: TdxEvent, ...sizesBytes: readonly number[]): string {
  if (!sizesBytes.includes(event.payload.length)) {
    throw new Refusal(
      'IDENTITY_FORMAT',
      `${event.event} has ${event.payload.length} bytes, not ${sizesBytes.join(' or ')}`,
    );
  }
  return toHex(event.payload);
}
