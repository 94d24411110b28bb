import { HOST_ID } from '@vouch/domain';
import { ConfigError, readConfig } from '@vouch/platform';
import { z } from 'zod';
import { checkPolicySettings, policySettings, policyWeakenings } from '../policy/policy-settings.js';

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
  ...policySettings,
  /** Collateral endpoints, separated by commas; asked in this order. */
  VOUCH_PCCS_URL: z
    .string()
    .transform((list) => list.split(',').map((url) => url.trim()))
    .pipe(z.array(z.url()).min(1)),
  /** PEM of a root to trust besides Intel's: the quote simulator's. */
  VOUCH_UNSAFE_TRUST_ANCHOR_FILE: z.string().optional(),
});

export type BootstrapConfig = z.infer<typeof bootstrapSchema>;
export type KmsConfig = z.infer<typeof serviceSchema>;

/** Settings of `bootstrap`. Throws ConfigError. */
export function readBootstrapConfig(env: NodeJS.ProcessEnv = process.env): BootstrapConfig {
  return refuseInProduction(readConfig(bootstrapSchema, env));
}

/** Settings of the service, besides those every service has. Throws ConfigError. */
export function readKmsConfig(env: NodeJS.ProcessEnv = process.env): KmsConfig {
  const config = refuseInProduction(readConfig(serviceSchema, env));
  checkPolicySettings(config);
  return config;
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
    ...policyWeakenings(config),
  ];
}
