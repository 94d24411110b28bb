import { listenAddress, readConfig } from '@vouch/platform';
import { z } from 'zod';

const schema = z.object({
  /** Where the dstack wire listens, `host:port`; unset: it does not. */
  KMS_RPC_LISTEN: listenAddress.optional(),
  /** `true`: GetKmsKey hands both root keys to another key server that the policy allows. Refused in production. */
  VOUCH_UNSAFE_ROOT_KEY_RELEASE: z.literal('true', 'can only be true').optional(),
  /** File with the administrator's token; unset: no administrator, ClearImageCache is refused. */
  KMS_ADMIN_TOKEN_FILE: z.string().optional(),
  /** URL with `{OS_IMAGE_HASH}`: where TDX images without a measurement in vm_config come from; unset: those are refused. */
  KMS_IMAGE_URL: z.string().optional(),
  /** Unix socket of the dstack guest agent of the CVM this KMS runs in; unset: its certificate is not attested. */
  KMS_GUEST_AGENT_SOCKET: z.string().optional(),
});

export type WireSettings = z.infer<typeof schema>;

/** Settings of the dstack wire. Throws ConfigError. */
export function readWireSettings(env: NodeJS.ProcessEnv = process.env): WireSettings {
  return readConfig(schema, env);
}

/** Weakenings these settings bring, by the names that events carry. */
export function wireWeakenings({ KMS_RPC_LISTEN, VOUCH_UNSAFE_ROOT_KEY_RELEASE }: WireSettings): string[] {
  return KMS_RPC_LISTEN !== undefined && VOUCH_UNSAFE_ROOT_KEY_RELEASE === 'true' ? ['unsafeRootKeyRelease'] : [];
}
