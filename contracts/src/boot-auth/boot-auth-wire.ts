import { z } from 'zod';
import type { BootDecision, BootInfo } from '../boot-info.js';

/**
 * The wire between a key server and an authorisation server, as dstack speaks it (dstack-kms §15): JSON, camelCase, bytes
 * as hex without 0x. Unlike dstack's servers, a value that is too short is refused and never left-padded: the padded one
 * could be another, allow-listed value.
 */
const bytes = (size: number, field: string) =>
  z
    .string()
    .regex(new RegExp(`^(0x)?[0-9a-fA-F]{${2 * size}}$`), `${field} must be ${size} bytes of hex`)
    .transform((hex) => hex.replace(/^0x/, '').toLowerCase());

const requestSchema = z.object({
  teeVariant: z.string().max(64).default(''),
  mrAggregated: bytes(32, 'mrAggregated'),
  osImageHash: bytes(32, 'osImageHash'),
  mrSystem: bytes(32, 'mrSystem').default('00'.repeat(32)),
  appId: bytes(20, 'appId'),
  composeHash: bytes(32, 'composeHash'),
  /** A guest without instance id sends an empty one. */
  instanceId: z.union([z.enum(['', '0x']).transform(() => ''), bytes(20, 'instanceId')]),
  deviceId: bytes(32, 'deviceId'),
  keyProviderInfo: z
    .string()
    .max(64 * 1024)
    .regex(/^(0x)?([0-9a-fA-F]{2})*$/, 'keyProviderInfo must be hex')
    .transform((hex) => hex.replace(/^0x/, '').toLowerCase())
    .default(''),
  tcbStatus: z.string().max(128).default(''),
  advisoryIds: z.array(z.string().max(256)).max(128).default([]),
});

const responseSchema = z.object({
  isAllowed: z.boolean(),
  gatewayAppId: z.string().max(256),
  reason: z.string().max(16_384),
});

export type Reading<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly reason: string };

/** Reads the body of `POST /bootAuth/app|kms`. Unknown members are ignored, as dstack's servers do. */
export function readBootAuthRequest(body: unknown): Reading<BootInfo> {
  return reading(requestSchema.safeParse(body));
}

/** The body for `POST /bootAuth/app|kms`: exactly dstack's members. */
export function bootAuthRequest(info: BootInfo): Record<string, unknown> {
  const { teeVariant, mrAggregated, osImageHash, mrSystem, appId, composeHash } = info;
  const { instanceId, deviceId, keyProviderInfo, tcbStatus, advisoryIds } = info;
  const measured = { teeVariant, mrAggregated, osImageHash, mrSystem, appId, composeHash };
  return { ...measured, instanceId, deviceId, keyProviderInfo, tcbStatus, advisoryIds: [...advisoryIds] };
}

/** Reads the answer: all three members are required. Unknown ones are ignored. */
export function readBootAuthResponse(body: unknown): Reading<BootDecision> {
  return reading(responseSchema.safeParse(body));
}

function reading<T>(parsed: z.ZodSafeParseResult<T>): Reading<T> {
  if (parsed.success) return { ok: true, value: parsed.data };
  const [issue] = parsed.error.issues;
  const where = issue === undefined || issue.path.length === 0 ? 'the body' : issue.path.join('.');
  return { ok: false, reason: `${where}: ${issue?.message ?? 'is wrong'}` };
}
