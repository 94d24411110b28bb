import { type BootKind, readBootAuthRequest } from '@vouch/contracts';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { AuthBackend } from './auth-backend.js';

/** Room for every member at its largest; more is no request. */
const BODY_MAX_BYTES = 192 * 1024;
const REQUEST_TIMEOUT_MS = 10_000;

/** The words of dstack's servers (dstack-kms §17). */
const INVALID = { isAllowed: false, reason: 'invalid authorization request', gatewayAppId: '' } as const;
const UNAVAILABLE = { isAllowed: false, gatewayAppId: '', reason: 'authorization backend unavailable' } as const;

export interface AuthServerOptions {
  readonly backend: AuthBackend;
  readonly logLevel: string;
  /** PEM; absent: plain HTTP. */
  readonly tls?: { readonly cert: string; readonly key: string };
}

/**
 * The HTTP face: `POST /bootAuth/app`, `POST /bootAuth/kms`, `GET /`. Every request only reads, so asking is also the dry
 * run; the header `vouch-policy-epoch` names what was read. Whatever goes wrong, the answer is a denial.
 */
export function authServer({ backend, logLevel, tls }: AuthServerOptions): FastifyInstance {
  const options = {
    bodyLimit: BODY_MAX_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    logger: { level: logLevel, base: { service: 'auth-server' } },
  };
  const server: FastifyInstance =
    tls === undefined ? Fastify(options) : (Fastify({ ...options, https: tls }) as unknown as FastifyInstance);
  server.get('/', async (request, reply) => {
    try {
      return await backend.describe();
    } catch (error) {
      request.log.error({ err: error }, 'the policy cannot be read');
      return await reply.code(500).send({ status: 'error', message: messageOf(error) });
    }
  });
  for (const kind of ['app', 'kms'] as const) {
    server.post(`/bootAuth/${kind}`, (request, reply) => answer(kind, backend, request, reply));
  }
  server.setErrorHandler((error: { statusCode?: number }, request, reply) => {
    const isTheirs = error.statusCode !== undefined && error.statusCode < 500;
    request.log[isTheirs ? 'info' : 'error']({ err: error }, 'no answer');
    return isTheirs ? reply.code(400).send(INVALID) : reply.code(200).send(UNAVAILABLE);
  });
  return server;
}

async function answer(
  kind: BootKind,
  backend: AuthBackend,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<unknown> {
  const reading = readBootAuthRequest(request.body);
  if (!reading.ok) {
    request.log.info({ kind, reason: reading.reason }, 'invalid request');
    return await reply.code(400).send(INVALID);
  }
  const { appId, composeHash, instanceId } = reading.value;
  try {
    const { isAllowed, gatewayAppId, reason, epoch } = await backend.decide(kind, reading.value);
    request.log.info({ kind, appId, composeHash, instanceId, isAllowed, reason, epoch }, 'decided');
    return await reply.header('vouch-policy-epoch', epoch).send({ isAllowed, gatewayAppId, reason });
  } catch (error) {
    request.log.error({ kind, appId, composeHash, instanceId, err: error }, 'the policy cannot be read');
    return await reply.send(UNAVAILABLE);
  }
}

/** A message for the operator; URLs in it may hold access keys, so only our own errors are shown. */
function messageOf(error: unknown): string {
  return (error as { code?: unknown }).code === 'policy-unavailable'
    ? 'the policy cannot be read: see the log'
    : 'internal error';
}
