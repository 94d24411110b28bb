import { HEX16, HEX20, HOST_ID, operationStates, resourcesSchema } from '@vouch/domain';
import { z } from 'zod';

/** What the API takes in: bodies, path parameters and queries. Unknown members of a body are refused. */
const hex20 = z.string().regex(HEX20, 'must be 40 lower-case hex digits (20 bytes), without 0x');
const hex16 = z.string().regex(HEX16, 'must be 32 lower-case hex digits (16 bytes)');
const host = z.string().regex(HOST_ID, 'must be 1-32 of a-z, 0-9 and "-", starting with a letter');
const wholeNumber = (from: number, to: number, preset: number) =>
  z.coerce
    .number({ error: 'must be a whole number' })
    .int('must be a whole number')
    .min(from, `must be at least ${from}`)
    .max(to, `must be at most ${to}`)
    .default(preset);

export const appIdParam = z.object({ appId: hex20 });
export const releaseIdParam = z.object({ releaseId: hex16 });
export const instanceIdParam = z.object({ instanceId: hex20 });
export const hostIdParam = z.object({ hostId: host });
export const operationIdParam = z.object({ operationId: hex16 });

export const registerAppBody = z.strictObject({
  appId: hex20.describe('Address of the app’s DstackApp contract, 20 bytes hex without 0x'),
  name: z.string().min(1).max(64),
});

export const createReleaseBody = z.strictObject({
  appCompose: z
    .string()
    .describe('Exact text of app-compose.json, at most 128 KiB of UTF-8. Kept and hashed byte for byte.'),
  resources: resourcesSchema,
  ports: z
    .array(z.number().int().min(1).max(65_535))
    .max(32)
    .optional()
    .describe('TCP ports the app serves; absent or empty: those the compose file publishes'),
  encryptedEnv: z.string().optional().describe('dstack encrypted environment blob, lower-case hex'),
});

export const deployBody = z
  .strictObject({ hostId: host.optional().describe('The one host to use; absent: the one with most room') })
  .default({});

export const registerHostBody = z.strictObject({
  hostId: host,
  driver: z.enum(['process', 'qemu']),
  capacity: z
    .strictObject({ vcpu: z.number().int().min(1).max(65_536), memoryMiB: z.number().int().min(64).max(1_073_741_824) })
    .describe('What the host may give to guests'),
});

export const cordonBody = z.strictObject({ reason: z.string().max(500).default('') }).default({ reason: '' });
export const emptyBody = z.strictObject({}).default({});

const minSeq = z.coerce
  .number({ error: 'must be a whole number' })
  .int('must be a whole number')
  .min(0, 'must not be negative')
  .optional()
  .describe('Wait (5 s at most) until the tables show the event with this position');

export const oneQuery = z.object({ minSeq });
const list = { minSeq, limit: wholeNumber(1, 1000, 1000) };
export const appsQuery = z.object({ ...list, name: z.string().optional(), owner: z.string().optional() });
export const releasesQuery = z.object({ ...list, appId: hex20.optional(), composeHash: z.string().optional() });
export const hostsQuery = z.object(list);
export const instancesQuery = z.object({
  ...list,
  appId: hex20.optional(),
  releaseId: hex16.optional(),
  hostId: host.optional(),
  state: z.string().optional(),
  desired: z.enum(['running', 'stopped', 'removed']).optional(),
});
export const operationsQuery = z.object({
  ...list,
  state: z.enum(operationStates).optional(),
  target: z.string().optional(),
  command: z.string().optional(),
  principal: z.string().optional(),
});
export const grantsQuery = z.object({
  ...list,
  instanceId: hex20.optional(),
  appId: hex20.optional(),
  hostId: host.optional(),
  outcome: z.enum(['issued', 'denied']).optional(),
});

const eventFilter = {
  kind: z.string().optional().describe('Second subject token, for example grant'),
  type: z.string().optional().describe('For example grant.denied'),
  subject: z.string().optional().describe('Exact subject'),
  corr: z.string().optional().describe('Operation id'),
};
export const eventsQuery = z.object({
  minSeq,
  after: wholeNumber(0, Number.MAX_SAFE_INTEGER, 0).describe('Position to start after'),
  limit: wholeNumber(1, 1000, 200),
  ...eventFilter,
});
export const streamQuery = z.object({
  after: z.coerce
    .number({ error: 'must be a whole number' })
    .int('must be a whole number')
    .min(0, 'must not be negative')
    .optional()
    .describe('Position to start after, unless Last-Event-ID says otherwise; absent: only what comes'),
  ...eventFilter,
});
export const logsQuery = z.object({ tail: wholeNumber(1, 10_000, 100).describe('Lines from the end') });
