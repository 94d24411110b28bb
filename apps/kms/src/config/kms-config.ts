import { HOST_ID } from '@vouch/domain';
import { ConfigError, readConfig } from '@vouch/platform';
import { z } from 'zod';

const rootSettings = {
  KMS_DATA_DIR: z.string(),
  /** Passphrase of the development key provider; production has no use for it and refuses it. */
  KMS_PASSPHRASE_FILE: z.string(),
  VOUCH_MODE: z.enum(['development', 'production']).default('production'),
} as const;

const bootstrapSchema = z.object(rootSettings);
const serviceSchema = z.object({
  ...rootSettings,
  KMS_ID: z.string().regex(HOST_ID, 'must be 1-32 of a-z, 0-9 and "-", starting with a letter'),
  ETH_RPC_URL: z.url(),
  /** Address of DstackKms, with or without 0x; kept as 40 lower-case hex digits. */
  KMS_CONTRACT_ADDR: z
    .string()
    .regex(/^(0x)?[0-9a-fA-F]{40}$/, 'must be a 20-byte address in hex')
    .transform((address) => address.replace(/^0x/, '').toLowerCase()),
  /** Collateral endpoints, separated by commas; asked in this order. */
  VOUCH_PCCS_URL: z
    .string()
    .transform((list) => list.split(',').map((url) => url.trim()))
    .pipe(z.array(z.url()).min(1)),
  /** PEM of a root to trust besides Intel's: the quote simulator's. */
  VOUCH_UNSAFE_TRUST_ANCHOR_FILE: z.string().optional(),
  /** Oldest block a policy may be read at, in seconds: a chain that stands still is not asked. */
  POLICY_MAX_AGE_SECONDS: z.coerce.number().int().min(1).max(86_400).default(300),
});

export type BootstrapConfig = z.infer<typeof bootstrapSchema>;
export type KmsConfig = z.infer<typeof serviceSchema>;

/** Settings of `bootstrap`. Throws ConfigError. */
export function readBootstrapConfig(env: NodeJS.ProcessEnv = process.env): BootstrapConfig {
  return refuseInProduction(readConfig(bootstrapSchema, env));
}

/** Settings of the service, besides those every service has. Throws ConfigError. */
export function readKmsConfig(env: NodeJS.ProcessEnv = process.env): KmsConfig {
  return refuseInProduction(readConfig(serviceSchema, env));
}

/** Root keys under a passphrase are a development weakening, and there is no other key provider yet. */
function refuseInProduction<C extends { readonly VOUCH_MODE: string }>(config: C): C {
  if (config.VOUCH_MODE !== 'development') {
    throw new ConfigError([
      'KMS_PASSPHRASE_FILE: root keys under a passphrase are for VOUCH_MODE=development only; a sealed key provider is needed in production',
    ]);
  }
  return config;
}

/** Names of the weakenings that hold for everything this KMS does. */
export function standingWeakenings(config: KmsConfig): string[] {
  return [
    'unsafePassphraseKeyProvider',
    ...(config.VOUCH_UNSAFE_TRUST_ANCHOR_FILE === undefined ? [] : ['unsafeTrustAnchor']),
  ];
}
