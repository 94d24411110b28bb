import { z } from 'zod';
import type { BootDecision, BootInfo, BootKind } from '../boot-info.js';

/**
 * A boot policy kept in a file, with the JSON schema of dstack's auth-simple (dstack-kms §17): same members, same order of
 * checks, same reasons. One rule is tighter: an empty device list denies every device unless `allowAnyDevice` is true
 * (auth-simple then allows every device). Members it does not know are ignored, as auth-simple does; every value it does
 * know must be of the right form, else the file is no policy.
 */
const hexOf = (size: number) =>
  z
    .string()
    .regex(new RegExp(`^(0x)?[0-9a-fA-F]{${2 * size}}$`), `must be ${size} bytes of hex`)
    .transform((hex) => hex.replace(/^0x/, '').toLowerCase());
const hashes = z.array(hexOf(32)).max(100_000).default([]);
const words = (fallback: readonly string[]) =>
  z
    .array(z.string().min(1).max(256))
    .max(1000)
    .default([...fallback]);
const text = z.string().max(256).default('');

const appSchema = z.object({ composeHashes: hashes, devices: hashes, allowAnyDevice: z.boolean().default(false) });
const kmsSchema = z.object({ mrAggregated: hashes, devices: hashes, allowAnyDevice: z.boolean().default(false) });

const policyFileSchema = z.object({
  gatewayAppId: text,
  kmsContractAddr: text,
  chainId: z.number().int().nonnegative().default(0),
  appImplementation: text,
  osImages: hashes,
  allowedTcbStatuses: words(['UpToDate']),
  allowedAdvisoryIds: words([]),
  kms: kmsSchema.default({ mrAggregated: [], devices: [], allowAnyDevice: false }),
  apps: z.record(hexOf(20), appSchema).default({}),
});

/** A policy file that was read; hex is lower-case without 0x. */
export type PolicyFile = z.infer<typeof policyFileSchema>;

export type PolicyFileReading =
  | { readonly ok: true; readonly policy: PolicyFile }
  | { readonly ok: false; readonly reason: string };

/** Reads the text of a policy file. What is not a whole policy is refused with the place and the reason. */
export function parsePolicyFile(content: string): PolicyFileReading {
  if (content.trim() === '') return { ok: false, reason: 'it is empty' };
  let json: unknown;
  try {
    json = JSON.parse(content);
  } catch (error) {
    return { ok: false, reason: `it is not JSON: ${(error as Error).message}` };
  }
  const parsed = policyFileSchema.safeParse(json);
  if (parsed.success) return { ok: true, policy: parsed.data };
  const [issue] = parsed.error.issues;
  const where = issue === undefined || issue.path.length === 0 ? '' : `${issue.path.join('.')}: `;
  return { ok: false, reason: `${where}${issue?.message ?? 'wrong form'}` };
}

/** What the policy says to this boot, in auth-simple's order and words. */
export function judgeByPolicyFile(policy: PolicyFile, kind: BootKind, info: BootInfo): BootDecision {
  const reason = refusalOf(policy, kind, info);
  return { isAllowed: reason === '', reason, gatewayAppId: policy.gatewayAppId };
}

function refusalOf(policy: PolicyFile, kind: BootKind, info: BootInfo): string {
  if (!policy.allowedTcbStatuses.includes(info.tcbStatus)) return 'TCB status is not allowed';
  if (!info.advisoryIds.every((id) => policy.allowedAdvisoryIds.includes(id))) return 'advisory ID is not allowed';
  if (!policy.osImages.includes(info.osImageHash)) return 'OS image is not allowed';
  return kind === 'kms' ? kmsRefusal(policy.kms, info) : appRefusal(policy.apps, info);
}

function kmsRefusal(kms: PolicyFile['kms'], info: BootInfo): string {
  if (!kms.mrAggregated.includes(info.mrAggregated)) return 'aggregated MR not allowed';
  if (!kms.allowAnyDevice && !kms.devices.includes(info.deviceId)) return 'KMS is not allowed to boot on this device';
  return '';
}

function appRefusal(apps: PolicyFile['apps'], info: BootInfo): string {
  const app = Object.hasOwn(apps, info.appId) ? apps[info.appId] : undefined;
  if (app === undefined) return 'app not registered';
  if (!app.composeHashes.includes(info.composeHash)) return 'compose hash not allowed';
  if (!app.allowAnyDevice && !app.devices.includes(info.deviceId)) return 'app is not allowed to boot on this device';
  return '';
}
