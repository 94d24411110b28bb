import type { BlockChoice } from '@vouch/contracts';
import { z } from 'zod';

/** A setting is missing or wrong. The message names every variable and what it must be; values are not repeated. */
export class SettingsInvalidError extends Error {
  readonly code = 'settings-invalid';
  readonly retryable = false;
  constructor(message: string) {
    super(message);
    this.name = 'SettingsInvalidError';
  }
}

export type BackendSettings =
  | {
      readonly kind: 'contract';
      readonly rpcUrl: string;
      /** DstackKms, 40 hex digits. */
      readonly contract: string;
      /** Absent: the chain that answers first, for the life of the process. */
      readonly chainId: number | undefined;
      readonly block: BlockChoice;
      /** Oldest block that decides, in seconds; absent: no limit, as in dstack's servers. */
      readonly maxAgeSeconds: number | undefined;
    }
  | { readonly kind: 'file'; readonly path: string };

export interface Settings {
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  readonly logLevel: string;
  /** PEM files; absent: plain HTTP, for loopback or behind a proxy that ends TLS. */
  readonly tls: { readonly certFile: string; readonly keyFile: string } | undefined;
  readonly backend: BackendSettings;
}

const positive = z.coerce.number().int().min(1);

/** Names are dstack's where dstack has them (dstack-kms §17). */
const environmentSchema = z.object({
  HOST: z.string().default('127.0.0.1'),
  PORT: z.coerce.number().int().min(0).max(65_535).default(8000),
  LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
  AUTH_TLS_CERT_FILE: z.string().optional(),
  AUTH_TLS_KEY_FILE: z.string().optional(),
  AUTH_BACKEND: z.enum(['contract', 'file']).default('contract'),
  ETH_RPC_URL: z.url().default('http://localhost:8545'),
  KMS_CONTRACT_ADDR: z
    .string()
    .regex(/^(0x)?[0-9a-fA-F]{40}$/, 'must be a 20-byte address in hex')
    .optional(),
  ETH_CHAIN_ID: positive.max(Number.MAX_SAFE_INTEGER).optional(),
  ETH_FINALITY_CONFIRMATIONS: z.coerce.number().int().min(0).max(1_000_000).optional(),
  AUTH_POLICY_BLOCK: z.enum(['latest', 'safe', 'finalized']).optional(),
  POLICY_MAX_AGE_SECONDS: positive.optional(),
  AUTH_CONFIG_PATH: z.string().default('./auth-config.json'),
});
type Environment = z.infer<typeof environmentSchema>;

/** Reads the settings from environment variables; an empty one counts as absent. Throws SettingsInvalidError. */
export function readSettings(environment: NodeJS.ProcessEnv): Settings {
  const present = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''));
  const parsed = environmentSchema.safeParse(present);
  if (!parsed.success) {
    const reasons = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
    throw new SettingsInvalidError(reasons.join('; '));
  }
  const { HOST: host, PORT: port, LOG_LEVEL: logLevel } = parsed.data;
  return { host, port, logLevel, tls: tlsOf(parsed.data), backend: backendOf(parsed.data) };
}

function tlsOf({ AUTH_TLS_CERT_FILE: certFile, AUTH_TLS_KEY_FILE: keyFile }: Environment): Settings['tls'] {
  if (certFile === undefined && keyFile === undefined) return undefined;
  if (certFile === undefined || keyFile === undefined) {
    throw new SettingsInvalidError('AUTH_TLS_CERT_FILE and AUTH_TLS_KEY_FILE: one needs the other');
  }
  return { certFile, keyFile };
}

function backendOf(env: Environment): BackendSettings {
  if (env.AUTH_BACKEND === 'file') return { kind: 'file', path: env.AUTH_CONFIG_PATH };
  if (env.KMS_CONTRACT_ADDR === undefined) {
    throw new SettingsInvalidError('KMS_CONTRACT_ADDR: is required with AUTH_BACKEND=contract');
  }
  if (env.ETH_FINALITY_CONFIRMATIONS !== undefined && env.AUTH_POLICY_BLOCK !== undefined) {
    throw new SettingsInvalidError('ETH_FINALITY_CONFIRMATIONS and AUTH_POLICY_BLOCK: only one of them can hold');
  }
  const confirmations = env.ETH_FINALITY_CONFIRMATIONS;
  return {
    kind: 'contract',
    rpcUrl: env.ETH_RPC_URL,
    contract: env.KMS_CONTRACT_ADDR.replace(/^0x/, '').toLowerCase(),
    chainId: env.ETH_CHAIN_ID,
    block: confirmations === undefined ? (env.AUTH_POLICY_BLOCK ?? 'latest') : { confirmations },
    maxAgeSeconds: env.POLICY_MAX_AGE_SECONDS,
  };
}
