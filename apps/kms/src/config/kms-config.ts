import { HOST_ID } from '@vouch/domain';
import { ConfigError, readConfig } from '@vouch/platform';
import { z } from 'zod';
import { checkPolicySettings, policySettings, policyWeakenings } from '../policy/policy-settings.js';

const rootSettings = {
  KMS_DATA_DIR: z.string(),
  /** What root keys are sealed with at rest. */
  KMS_KEY_PROVIDER: z.enum(['passphrase', 'tpm', 'attested-peer']).default('passphrase'),
  /** Passphrase of the development key provider; production has no use for it and refuses it. */
  KMS_PASSPHRASE_FILE: z.string().optional(),
  VOUCH_MODE: z.enum(['development', 'production']).default('production'),
} as const;

/** Name of the KMS in the log: the same for every replica of one root. */
const kmsId = z.string().regex(HOST_ID, 'must be 1-32 of a-z, 0-9 and "-", starting with a letter');

/** Key epoch whose event key signs this KMS's events; the trust files must list that key. */
const eventKeyEpoch = z.coerce.number().int().min(0).default(0);

/** What the offline commands on key epochs need besides: they read the log and append to it as the KMS. */
const epochSchema = z.object({ ...rootSettings, KMS_ID: kmsId, KMS_EVENT_KEY_EPOCH: eventKeyEpoch });
const bootstrapSchema = z.object(rootSettings);
const serviceSchema = z.object({
  ...rootSettings,
  KMS_ID: kmsId,
  KMS_EVENT_KEY_EPOCH: eventKeyEpoch,
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

/** Settings of the `epoch` commands, besides those of the bus. Throws ConfigError. */
export function readEpochConfig(env: NodeJS.ProcessEnv = process.env): z.infer<typeof epochSchema> {
  return refuseInProduction(readConfig(epochSchema, env));
}

/** Settings of the service, besides those every service has. Throws ConfigError. */
export function readKmsConfig(env: NodeJS.ProcessEnv = process.env): KmsConfig {
  const config = refuseInProduction(readConfig(serviceSchema, env));
  checkPolicySettings(config);
  return config;
}

/** Root keys under a passphrase are a development weakening. */
function refuseInProduction<C extends BootstrapConfig>(config: C): C {
  if (config.VOUCH_MODE !== 'development' && config.KMS_KEY_PROVIDER === 'passphrase') {
    throw new ConfigError([
      'KMS_PASSPHRASE_FILE: root keys under a passphrase are for VOUCH_MODE=development only; a sealed key provider is needed in production',
    ]);
  }
  return config;
}

/** Names of the weakenings that hold for everything this KMS does. */
export function standingWeakenings(config: KmsConfig): string[] {
  return [
    ...(config.KMS_KEY_PROVIDER === 'passphrase' ? ['unsafePassphraseKeyProvider'] : []),
    ...(config.VOUCH_UNSAFE_TRUST_ANCHOR_FILE === undefined ? [] : ['unsafeTrustAnchor']),
    ...policyWeakenings(config),
  ];
}
