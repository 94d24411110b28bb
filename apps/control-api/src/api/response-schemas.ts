import { checkSchema, operationStates, resourcesSchema } from '@vouch/domain';
import { z } from 'zod';

/** What the API answers, for the OpenAPI document. */
const seq = z.number().int().describe('Position in the log');
const time = z.iso.datetime();
const ports = z.array(z.number().int());

export const problemSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number().int(),
  detail: z.string().describe('What was wrong and what to do'),
  code: z.string().describe('Stable; branch on this'),
  retryable: z.boolean().describe('True when the same request may succeed later'),
  errors: z.array(z.object({ field: z.string(), message: z.string() })),
});

const operationSummary = z.object({
  id: z.string(),
  command: z.string(),
  target: z.string(),
  state: z.enum(operationStates),
  code: z.string().describe('Why it failed, stable; else empty'),
  reason: z.string().describe('Why it waits or failed; else empty'),
  result: z.record(z.string(), z.unknown()),
  deadline: time,
});

const accepted = { operation: operationSummary, seq: seq.describe('Use as minSeq to read what this did') };
export const appAccepted = z.object({ ...accepted, appId: z.string() });
export const releaseAccepted = z.object({
  ...accepted,
  appId: z.string(),
  releaseId: z.string(),
  composeHash: z.string(),
});
export const instanceAccepted = z.object({ ...accepted, instanceId: z.string() });
export const deployAccepted = z.object({ ...accepted, instanceId: z.string(), releaseId: z.string() });
export const hostAccepted = z.object({ ...accepted, hostId: z.string() });

export const app = z.object({ appId: z.string(), name: z.string(), owner: z.string(), registeredAt: time, seq });
export const release = z.object({
  releaseId: z.string(),
  appId: z.string(),
  composeHash: z.string(),
  name: z.string(),
  resources: resourcesSchema,
  ports,
  createdAt: time,
  seq,
});
export const releaseInFull = release.extend({ appCompose: z.string(), encryptedEnv: z.string() });
export const host = z.object({
  hostId: z.string(),
  driver: z.string(),
  vcpu: z.number(),
  memoryMib: z.number(),
  cordoned: z.boolean(),
  cordonReason: z.string(),
  unsafe: z.array(z.string()).describe('Development-only weakenings'),
  registeredAt: time,
  seq,
});
export const instance = z.object({
  instanceId: z.string(),
  appId: z.string(),
  releaseId: z.string(),
  composeHash: z.string(),
  seed: z.string(),
  hostId: z.string().nullable(),
  epoch: z.number().int().describe('Placement epoch; 0 until placed'),
  address: z.string().nullable(),
  state: z.string(),
  running: z.boolean().describe('A guest of this epoch was seen running and its end was not'),
  desired: z.string(),
  reason: z.string(),
  ports,
  createdAt: time,
  updatedAt: time,
  seq,
});
export const operation = z.object({
  operationId: z.string(),
  command: z.string(),
  principal: z.string(),
  target: z.string(),
  state: z.enum(operationStates),
  code: z.string(),
  reason: z.string(),
  result: z.record(z.string(), z.unknown()).nullable(),
  requestedAt: time,
  finishedAt: time.nullable(),
  deadline: time,
  seq,
});
export const operationInFull = operation.extend({
  requestHash: z.string(),
  steps: z.array(
    z.object({ time: z.string(), type: z.string(), subject: z.string(), summary: z.string(), seq: z.number() }),
  ),
});
export const grant = z.object({
  requestId: z.string(),
  grantSeq: seq,
  instanceId: z.string(),
  appId: z.string(),
  hostId: z.string(),
  epoch: z.number().int(),
  outcome: z.enum(['issued', 'denied']),
  failedCheck: z.string().nullable(),
  reason: z.string().nullable(),
  checks: z.array(checkSchema),
  policy: z.record(z.string(), z.unknown()).nullable(),
  composeHash: z.string().nullable(),
  unsafe: z.array(z.string()),
  decidedAt: time,
});
export const event = z.object({
  seq,
  subject: z.string(),
  id: z.string(),
  type: z.string(),
  time,
  actor: z.string(),
  cause: z.string(),
  corr: z.string(),
  envelope: z.record(z.string(), z.unknown()).describe('The signed CloudEvents envelope as stored'),
});
export const eventPage = z.object({
  items: z.array(event),
  next: z.number().int().nullable().describe('Pass as `after` for the next page; null at the end'),
});
export const logLines = z.object({
  lines: z.array(z.object({ time: z.string(), source: z.string(), line: z.string() })),
});
export const status = z.object({
  mode: z.enum(['development', 'production']),
  log: z.object({ state: z.enum(['catching-up', 'live', 'broken']), position: seq, error: z.string().nullable() }),
  projection: z.object({ state: z.enum(['current', 'behind', 'unavailable']), position: seq.nullable() }),
  jobs: z.object({ backend: z.enum(['postgres', 'redis']), state: z.enum(['connected', 'connecting']) }),
  hosts: z.array(
    z.object({
      hostId: z.string(),
      live: z.boolean(),
      cordoned: z.boolean(),
      freeVcpu: z.number(),
      freeMemoryMiB: z.number(),
      unsafe: z.array(z.string()),
    }),
  ),
  unfinishedOperations: z.number().int(),
});
export const pageOf = <S extends z.ZodType>(item: S) =>
  z.object({ items: z.array(item), truncated: z.boolean().describe('True when there are more than `limit`') });
