import { readFileSync } from 'node:fs';
import {
  CollateralBundle,
  type CollateralEndpoint,
  type EvidencePolicy,
  INTEL_PCS,
  INTEL_SGX_ROOT,
  readPolicy,
  type TrustAnchor,
  trustAnchorFromPem,
  unsafeNames,
} from '@vouch/attestation';
import { z } from 'zod';

export interface Settings {
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  readonly endpoints: readonly CollateralEndpoint[];
  readonly bundle: CollateralBundle | undefined;
  /** Holds `collateral` and `os-images`. */
  readonly cacheFolder: string | undefined;
  /** URL template of OS images; undefined is dstack's, null none. */
  readonly imageUrl: string | undefined | null;
  readonly policy: EvidencePolicy;
  readonly trustAnchors: readonly TrustAnchor[];
  readonly maxBodyBytes: number;
}

/** A setting is missing or wrong. The message names the variable and what it must be. */
export class SettingsInvalidError extends Error {
  readonly code = 'settings-invalid';
  readonly retryable = false;
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'SettingsInvalidError';
  }
}

const LISTEN = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):(\d{1,5})$/;
const MIB = 1024 * 1024;
/** Weakenings that only a simulated platform needs. */
const DEVELOPMENT_ONLY = ['unsafeTrustAnchorAccepted', 'unsafeProcessGuestAccepted', 'unsafeDebugAccepted'];

const environmentSchema = z.object({
  VERIFIER_LISTEN: z.string().regex(LISTEN, 'must be host:port').default('127.0.0.1:8080'),
  /** Collateral endpoints, separated by commas, asked in this order; `intel` is Intel's own service. */
  VERIFIER_PCCS_URL: z.string().min(1, 'must be one or more URLs').default('intel'),
  VERIFIER_PCCS_TLS_ROOTS_FILE: z.string().optional(),
  VERIFIER_COLLATERAL_BUNDLE_FILE: z.string().optional(),
  VERIFIER_CACHE_DIR: z.string().optional(),
  /** Template with {OS_IMAGE_HASH}; `none` downloads nothing. */
  VERIFIER_IMAGE_URL: z.string().optional(),
  VERIFIER_POLICY_FILE: z.string().optional(),
  VERIFIER_UNSAFE_TRUST_ANCHOR_FILE: z.string().optional(),
  VERIFIER_UNSAFE_PLAIN_HTTP: z.literal('true', 'must be "true" or absent').optional(),
  VERIFIER_MAX_BODY_BYTES: z.coerce
    .number()
    .int()
    .min(64 * 1024)
    .max(32 * MIB)
    .default(4 * MIB),
  VOUCH_MODE: z.enum(['development', 'production']).default('production'),
});
type Environment = z.infer<typeof environmentSchema>;

/** Reads the VERIFIER_… variables and the files they name. Throws SettingsInvalidError. */
export function readSettings(environment: NodeJS.ProcessEnv): Settings {
  const parsed = environmentSchema.safeParse(environment);
  if (!parsed.success) {
    const reasons = parsed.error.issues.map((issue) => `${issue.path.join('.')} ${issue.message}`);
    throw new SettingsInvalidError(reasons.join('; '));
  }
  const { data } = parsed;
  refuseInProduction(data);
  const [, host = '', port = ''] = LISTEN.exec(data.VERIFIER_LISTEN) ?? [];
  if (Number(port) > 65_535) throw new SettingsInvalidError('VERIFIER_LISTEN must have a port up to 65535');
  return {
    host: host.replace(/^\[|\]$/g, ''),
    port: Number(port),
    endpoints: endpointsOf(data),
    bundle: fromFile(data, 'VERIFIER_COLLATERAL_BUNDLE_FILE', (text) => CollateralBundle.fromText(text)),
    cacheFolder: data.VERIFIER_CACHE_DIR,
    imageUrl: data.VERIFIER_IMAGE_URL === 'none' ? null : data.VERIFIER_IMAGE_URL,
    maxBodyBytes: data.VERIFIER_MAX_BODY_BYTES,
    ...trustOf(data),
  };
}

/** A root of one's own means simulated hardware: its guests may be processes too. */
function trustOf(data: Environment): Pick<Settings, 'policy' | 'trustAnchors'> {
  const policy = fromFile(data, 'VERIFIER_POLICY_FILE', readPolicy) ?? {};
  const anchor = fromFile(data, 'VERIFIER_UNSAFE_TRUST_ANCHOR_FILE', trustAnchorFromPem);
  const weak = unsafeNames(policy).filter((name) => DEVELOPMENT_ONLY.includes(name));
  if (data.VOUCH_MODE === 'production' && weak.length > 0) {
    throw new SettingsInvalidError(`VERIFIER_POLICY_FILE: ${weak.join(', ')} is for VOUCH_MODE=development only`);
  }
  if (anchor === undefined) return { policy, trustAnchors: [INTEL_SGX_ROOT] };
  return {
    policy: { ...policy, unsafeTrustAnchorAccepted: true, unsafeProcessGuestAccepted: true },
    trustAnchors: [INTEL_SGX_ROOT, anchor],
  };
}

function endpointsOf(data: Environment): readonly CollateralEndpoint[] {
  const tlsRootsPem = fromFile(data, 'VERIFIER_PCCS_TLS_ROOTS_FILE', (text) => text);
  return data.VERIFIER_PCCS_URL.split(',').map((entry) => {
    const url = entry.trim();
    if (url === 'intel') return INTEL_PCS;
    return {
      url,
      ...(tlsRootsPem === undefined ? {} : { tlsRootsPem }),
      ...(data.VERIFIER_UNSAFE_PLAIN_HTTP === undefined ? {} : { unsafePlainHttp: true as const }),
    };
  });
}

function refuseInProduction(data: Environment): void {
  if (data.VOUCH_MODE === 'development') return;
  for (const name of ['VERIFIER_UNSAFE_TRUST_ANCHOR_FILE', 'VERIFIER_UNSAFE_PLAIN_HTTP'] as const) {
    if (data[name] !== undefined) throw new SettingsInvalidError(`${name} is for VOUCH_MODE=development only`);
  }
}

function fromFile<T>(
  data: Environment,
  name: Extract<keyof Environment, `${string}_FILE`>,
  read: (text: string) => T,
): T | undefined {
  const path = data[name];
  if (path === undefined) return undefined;
  try {
    return read(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new SettingsInvalidError(`${name}: ${path}: ${(error as Error).message}`, { cause: error });
  }
}
