import { createHash } from 'node:crypto';
import { canonicalJson } from '../canonical-json.js';
import { type AppId, type InstanceId, instanceIdOf, type OperationId, type ReleaseId } from '../ids.js';

/**
 * Ids derived from what caused them, so that a request or a step carried out again after a crash names the same things.
 * Each is SHA-256 over a purpose and the canonical JSON of its inputs, cut to size.
 */
function derive(purpose: string, ...inputs: readonly unknown[]): string {
  return createHash('sha256').update(`vouch-id-v1:${purpose}\n`).update(canonicalJson(inputs)).digest('hex');
}

/** Operation id (16 bytes hex) of a request with an Idempotency-Key: one per principal and key. */
export function operationIdOf(principal: string, idempotencyKey: string): OperationId {
  return derive('operation', principal, idempotencyKey).slice(0, 32) as OperationId;
}

/** Release id (16 bytes hex) of a CreateRelease operation. */
export function releaseIdOf(operationId: string): ReleaseId {
  return derive('release', operationId).slice(0, 32) as ReleaseId;
}

/** Seed (20 bytes hex) and instance id of a DeployInstance operation. The seed is public: it is no key material. */
export function instanceIdentityOf(operationId: string, app: AppId): { seed: string; instanceId: InstanceId } {
  const seed = derive('instance-seed', operationId).slice(0, 40);
  return { seed, instanceId: instanceIdOf(seed, app) };
}
