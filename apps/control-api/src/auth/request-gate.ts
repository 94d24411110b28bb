import type { FastifyRequest } from 'fastify';
import { ProblemError } from '../problems/problem-error.js';
import type { ApiTokens, Principal } from './api-tokens.js';

const principals = new WeakMap<object, Principal>();

/** Who makes the request. Only for routes that are not public, where {@link admit} has found out. */
export function principalOf(request: FastifyRequest): Principal {
  const principal = principals.get(request.raw);
  if (principal === undefined)
    throw new TypeError(`${request.method} ${request.routeOptions.url ?? ''} has no principal`);
  return principal;
}

/**
 * First thing that happens to a request, after routing and before its body is read: every route but the public ones
 * needs a known bearer token, every method but GET and HEAD the operator role, and every body must be JSON. A path
 * without a route passes on to its 404. Throws ProblemError.
 */
export function admit(request: FastifyRequest, tokens: ApiTokens): void {
  const reads = request.method === 'GET' || request.method === 'HEAD';
  const route = request.routeOptions.url;
  if (route !== undefined && !(reads && isPublic(route))) {
    const principal = authenticate(request.headers.authorization, tokens);
    if (!reads && principal.role !== 'operator') {
      const detail = `${principal.name} is a viewer; ${request.method} needs the operator role`;
      throw new ProblemError({ status: 403, code: 'role-insufficient', detail });
    }
    principals.set(request.raw, principal);
  }
  if (!reads) assertJson(request);
}

/** Route patterns without secrets: the operator page (which asks for a token) and the API's description. */
function isPublic(route: string): boolean {
  return route === '/' || route.startsWith('/dashboard') || /^\/docs([-/]|$)/.test(route);
}

function authenticate(header: string | undefined, tokens: ApiTokens): Principal {
  const challenge = { 'www-authenticate': 'Bearer realm="vouch"' };
  if (header === undefined) {
    const detail = 'send Authorization: Bearer <token>';
    throw new ProblemError({ status: 401, code: 'token-missing', detail, headers: challenge });
  }
  const token = /^Bearer +([A-Za-z0-9._~+/=-]{1,512})$/i.exec(header)?.[1];
  const principal = token === undefined ? undefined : tokens.principalOf(token);
  if (principal === undefined) {
    const headers = { 'www-authenticate': `${challenge['www-authenticate']}, error="invalid_token"` };
    throw new ProblemError({ status: 401, code: 'token-unknown', detail: 'this bearer token is not known', headers });
  }
  return principal;
}

function assertJson(request: FastifyRequest): void {
  const { 'content-type': type, 'content-length': length, 'transfer-encoding': encoding } = request.headers;
  const hasBody = encoding !== undefined || (length !== undefined && length !== '0');
  if (!hasBody) {
    // Nothing to parse, whatever the type says.
    delete request.headers['content-type'];
    return;
  }
  if (/^application\/json *(;|$)/i.test(type ?? '')) return;
  const detail = `the request body must be application/json, not ${type ?? 'without a Content-Type'}`;
  throw new ProblemError({ status: 415, code: 'media-type-unsupported', detail });
}
