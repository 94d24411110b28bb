import { applyDecorators } from '@nestjs/common';
import { ApiHeader, ApiOperation, ApiResponse, ApiSecurity } from '@nestjs/swagger';
import type { z } from 'zod';
import { problemSchema } from './response-schemas.js';

function problem(status: number, description: string) {
  return ApiResponse({
    status,
    description,
    standardSchema: problemSchema,
    ...(status === 503 || status === 504
      ? { headers: { 'Retry-After': { description: 'Seconds', schema: { type: 'string' } } } }
      : {}),
    ...(status === 401
      ? { headers: { 'WWW-Authenticate': { description: 'Bearer challenge', schema: { type: 'string' } } } }
      : {}),
  });
}

/** Every route below /v1 needs a token. */
const everywhere = [
  ApiSecurity('bearer'),
  problem(400, 'request-invalid, body-malformed'),
  problem(401, 'token-missing, token-unknown'),
];

/** Describes the errors of a route that is neither a plain read nor a mutation. */
export function Described(refusals: Readonly<Record<number, string>>) {
  return applyDecorators(
    ...everywhere,
    ...Object.entries(refusals).map(([status, codes]) => problem(Number(status), codes)),
  );
}

/** Describes a read. `missing` is the code of its 404. */
export function Reads(summary: string, schema: z.ZodType, missing?: string) {
  return applyDecorators(
    ApiOperation({ summary }),
    ApiResponse({ status: 200, description: 'Found', standardSchema: schema }),
    ...everywhere,
    ...(missing === undefined ? [] : [problem(404, missing)]),
    problem(503, 'read-model-unavailable: the audit database does not answer'),
    problem(504, 'projection-behind: minSeq was not reached in time'),
  );
}

/** Describes a mutation. `refusals` lists the codes it can be refused with, by status. */
export function Mutates(summary: string, schema: z.ZodType, refusals: Readonly<Record<number, string>> = {}) {
  const headers = {
    Location: { description: 'The operation', schema: { type: 'string' } },
    'Preference-Applied': { description: 'Echo of Prefer: wait', schema: { type: 'string' } },
  } as const;
  const both = { ...refusals, 409: [refusals[409], 'idempotency-key-reused'].filter(Boolean).join(', ') };
  return applyDecorators(
    ApiOperation({ summary }),
    ApiHeader({
      name: 'Idempotency-Key',
      required: false,
      description: '1-255 printable ASCII characters. The same key and request again answer the same operation.',
      schema: { type: 'string', maxLength: 255 },
    }),
    ApiHeader({
      name: 'Prefer',
      required: false,
      description: 'wait=N: answer when the operation has ended, after N seconds (0-60) at the latest.',
      schema: { type: 'string', pattern: '^wait=[0-9]+$' },
    }),
    ApiResponse({ status: 202, description: 'Accepted: durably in the log', standardSchema: schema, headers }),
    ApiResponse({ status: 200, description: 'This Idempotency-Key was seen before', standardSchema: schema, headers }),
    ...everywhere,
    problem(403, 'role-insufficient'),
    problem(413, ['body-too-large', refusals[413]].filter(Boolean).join(', ')),
    problem(415, 'media-type-unsupported'),
    ...Object.entries(both)
      .filter(([status]) => status !== '413')
      .map(([status, codes]) => problem(Number(status), codes)),
    problem(503, 'not-caught-up, event-store-unavailable (both retryable), log-damaged'),
  );
}
