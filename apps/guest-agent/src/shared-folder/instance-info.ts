import { type AppId, appId, type InstanceId, instanceIdOf } from '@vouch/domain';
import { z } from 'zod';
import { AgentFailure } from '../agent-failure.js';

const hex20 = z.string().regex(/^[0-9a-f]{40}$/, '40 lower-case hex digits');

/** `.instance_info` (dstack-guest §7.2). */
const schema = z.looseObject({
  instance_id_seed: hex20,
  app_id: hex20,
  instance_id: z.union([hex20, z.literal('')]).default(''),
});

export interface InstanceInfo {
  readonly appId: AppId;
  /** Derived here from the seed; a different id in the file is refused. */
  readonly instanceId: InstanceId;
}

/** Parses `.instance_info` and derives the instance id. Throws AgentFailure `instance-info-invalid`. */
export function readInstanceInfo(bytes: Uint8Array): InstanceInfo {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new AgentFailure('instance-info-invalid', '.instance_info is not UTF-8 JSON', false, { cause });
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success) {
    throw new AgentFailure('instance-info-invalid', `.instance_info: ${z.prettifyError(parsed.error)}`);
  }
  const app = appId(parsed.data.app_id);
  const instanceId = instanceIdOf(parsed.data.instance_id_seed, app);
  if (parsed.data.instance_id !== '' && parsed.data.instance_id !== instanceId) {
    throw new AgentFailure(
      'instance-info-invalid',
      `.instance_info: instance_id is ${parsed.data.instance_id}, but seed and app id give ${instanceId}`,
    );
  }
  return { appId: app, instanceId };
}
