import { trustFileSchema } from '@vouch/domain';
import { z } from 'zod';
import { AgentFailure } from '../agent-failure.js';

/**
 * `.sys-config.json` as the host writes it (dstack-guest §9) with Vouch's own part. None of it is measured: the host can
 * lie here, which at worst denies service, since the KMS checks claims and placement, and an app that sets
 * `key_provider_id` pins the KMS root in its compose hash.
 */
const schema = z.looseObject({
  /** Exact JSON text of the VM configuration; travels in the evidence as it is. */
  vm_config: z.string().max(16 * 1024),
  vouch: z.looseObject({
    trust: trustFileSchema,
    hostId: z.string().min(1).max(32),
    epoch: z.number().int().positive(),
    /** TCP ports the app serves; all of them must accept a connection before the app counts as healthy. */
    ports: z.array(z.number().int().min(1).max(65535)).max(32).default([]),
  }),
});

export type SysConfig = z.infer<typeof schema>;

/** Parses `.sys-config.json`. Throws AgentFailure `sys-config-invalid` naming the field. */
export function readSysConfig(bytes: Uint8Array): SysConfig {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new AgentFailure('sys-config-invalid', '.sys-config.json is not UTF-8 JSON', false, { cause });
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new AgentFailure('sys-config-invalid', `.sys-config.json: ${z.prettifyError(parsed.error)}`);
}
