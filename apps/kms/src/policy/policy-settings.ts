import type { BlockChoice } from '@vouch/contracts';
import { ConfigError } from '@vouch/platform';
import { z } from 'zod';
import { ContractPolicy } from './contract-policy.js';
import { FilePolicy } from './file-policy.js';
import type { PolicySource } from './policy-source.js';
import { WebhookPolicy } from './webhook-policy.js';

const BLOCK_TAGS = ['latest', 'safe', 'finalized'] as const;

/** Where boot policy is read. Which of them are needed depends on KMS_POLICY: see {@link checkPolicySettings}. */
export const policySettings = {
  KMS_POLICY: z.enum(['contract', 'file', 'webhook']).default('contract'),
  ETH_RPC_URL: z.url().optional(),
  /** Address of DstackKms, with or without 0x; kept as 40 lower-case hex digits. */
  KMS_CONTRACT_ADDR: z
    .string()
    .regex(/^(0x)?[0-9a-fA-F]{40}$/, 'must be a 20-byte address in hex')
    .transform((address) => address.replace(/^0x/, '').toLowerCase())
    .optional(),
  /** Chain the contract must be on. Absent in development: the chain that answers first. */
  ETH_CHAIN_ID: z.coerce.number().int().min(1).max(Number.MAX_SAFE_INTEGER).optional(),
  /** Block that decisions are read at. Default: latest in development, finalized in production. */
  KMS_POLICY_BLOCK: z.enum(BLOCK_TAGS).optional(),
  /** Blocks on top of one before its policy changes are logged. Default: 0 in development, 12 in production. */
  KMS_POLICY_CONFIRMATIONS: z.coerce.number().int().min(0).max(100_000).optional(),
  /** Block from which contracts are looked at for changes: that of the deployment saves reading the chain before it. */
  KMS_POLICY_START_BLOCK: z.coerce.number().int().min(0).default(0),
  KMS_POLICY_POLL_MS: z.coerce.number().int().min(50).max(600_000).default(4_000),
  KMS_POLICY_FILE: z.string().optional(),
  /** Base URL of an authorisation server; https, but for development. */
  KMS_POLICY_URL: z.url({ protocol: /^https?$/ }).optional(),
  KMS_POLICY_TIMEOUT_MS: z.coerce.number().int().min(50).max(60_000).default(5_000),
  /**
   * Oldest policy that decides, in seconds: time of the block, of the file's last change, of the server's answer.
   * Default: 300 at the latest block, 3600 at a safe or finalised one, none for a file.
   */
  POLICY_MAX_AGE_SECONDS: z.coerce.number().int().min(1).max(31_536_000).optional(),
} as const;

export type PolicyConfig = z.infer<z.ZodObject<typeof policySettings>> & { readonly VOUCH_MODE: string };

/** What the chosen source needs and what production refuses. Throws ConfigError naming every variable. */
export function checkPolicySettings(config: PolicyConfig): void {
  const isProduction = config.VOUCH_MODE !== 'development';
  const problems: string[] = [];
  const need = (name: keyof PolicyConfig) => {
    if (config[name] === undefined) problems.push(`${name}: is required with KMS_POLICY=${config.KMS_POLICY}`);
  };
  if (config.KMS_POLICY === 'contract') {
    need('ETH_RPC_URL');
    need('KMS_CONTRACT_ADDR');
    if (isProduction && config.ETH_CHAIN_ID === undefined) problems.push('ETH_CHAIN_ID: is required in production');
  }
  if (config.KMS_POLICY === 'file') need('KMS_POLICY_FILE');
  if (config.KMS_POLICY === 'webhook') {
    need('KMS_POLICY_URL');
    if (isProduction && isPlainHttp(config)) {
      problems.push('KMS_POLICY_URL: must be https: whoever can change the answer decides who gets keys');
    }
  }
  if (problems.length > 0) throw new ConfigError(problems);
}

/** Weakenings that follow from the policy's source, by the names the events carry. */
export function policyWeakenings(config: PolicyConfig): string[] {
  return config.KMS_POLICY === 'webhook' && isPlainHttp(config) ? ['unsafePlainHttpPolicy'] : [];
}

/** Seconds; null: no limit. */
export function policyMaxAgeSeconds(config: PolicyConfig): number | null {
  if (config.POLICY_MAX_AGE_SECONDS !== undefined) return config.POLICY_MAX_AGE_SECONDS;
  if (config.KMS_POLICY === 'file') return null;
  return config.KMS_POLICY === 'contract' && policyBlock(config) !== 'latest' ? 3600 : 300;
}

export function policyBlock(config: PolicyConfig): Extract<BlockChoice, string> {
  return config.KMS_POLICY_BLOCK ?? (config.VOUCH_MODE === 'development' ? 'latest' : 'finalized');
}

/** The source that the settings name; they must have passed {@link checkPolicySettings}. */
export function policySource(config: PolicyConfig, now: () => Date): PolicySource {
  switch (config.KMS_POLICY) {
    case 'contract':
      return new ContractPolicy({
        rpcUrl: given(config.ETH_RPC_URL),
        contract: given(config.KMS_CONTRACT_ADDR),
        block: policyBlock(config),
        ...(config.ETH_CHAIN_ID === undefined ? {} : { chainId: config.ETH_CHAIN_ID }),
      });
    case 'file':
      return new FilePolicy(given(config.KMS_POLICY_FILE));
    case 'webhook':
      return new WebhookPolicy({ url: given(config.KMS_POLICY_URL), timeoutMs: config.KMS_POLICY_TIMEOUT_MS, now });
  }
}

/** How policy changes are followed; undefined when policy is not in a contract. */
export function indexerSettings(config: PolicyConfig) {
  if (config.KMS_POLICY !== 'contract') return undefined;
  return {
    rpcUrl: given(config.ETH_RPC_URL),
    contract: given(config.KMS_CONTRACT_ADDR),
    ...(config.ETH_CHAIN_ID === undefined ? {} : { chainId: config.ETH_CHAIN_ID }),
    confirmations: config.KMS_POLICY_CONFIRMATIONS ?? (config.VOUCH_MODE === 'development' ? 0 : 12),
    startBlock: config.KMS_POLICY_START_BLOCK,
    pollMs: config.KMS_POLICY_POLL_MS,
  };
}

function isPlainHttp({ KMS_POLICY_URL }: PolicyConfig): boolean {
  return KMS_POLICY_URL?.toLowerCase().startsWith('http:') === true;
}

function given(value: string | undefined): string {
  if (value === undefined) throw new TypeError('the policy settings were not checked');
  return value;
}
