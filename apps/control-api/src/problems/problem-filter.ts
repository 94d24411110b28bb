import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException } from '@nestjs/common';
import { EventRejectedError } from '@vouch/domain';
import { asError, type FieldLogger, saysRetryable } from '@vouch/platform';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ProblemError } from './problem-error.js';

export const PROBLEM_JSON = 'application/problem+json; charset=utf-8';

/** Turns whatever ended a request into problem+json. What is not expected is logged and answered without its text. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(private readonly logger: FieldLogger) {}

  catch(thrown: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const request = http.getRequest<FastifyRequest>();
    const reply = http.getResponse<FastifyReply>();
    const problem = problemOf(thrown, request);
    const fields = { code: problem.code, method: request.method, path: pathOf(request) };
    if (problem.retryable) this.logger.warn({ ...fields, reason: problem.message }, 'request not served');
    else if (problem.status >= 500) this.logger.error({ ...fields, err: asError(thrown) }, 'request failed');
    if (reply.sent || reply.raw.headersSent) {
      reply.raw.destroy();
      return;
    }
    void reply.code(problem.status).headers(problem.headers).type(PROBLEM_JSON).send(JSON.stringify(problem.document));
  }
}

function problemOf(thrown: unknown, request: FastifyRequest): ProblemError {
  if (thrown instanceof ProblemError) return thrown;
  const cause = asError(thrown);
  const { code = '', statusCode } = cause as { code?: string; statusCode?: number };
  if (cause instanceof EventRejectedError && cause.code === 'event-too-large') {
    return new ProblemError({ status: 413, code: 'command-too-large', detail: cause.message, cause });
  }
  if (cause instanceof HttpException) return problemOfHttp(cause, request);
  if (saysRetryable(cause) === true) {
    const detail = 'the event log did not answer; the same request may be sent again';
    return new ProblemError({ status: 503, code: code === '' ? 'unavailable' : code, detail, retryable: true, cause });
  }
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new ProblemError({ status: statusCode, code: 'request-invalid', detail: cause.message, cause });
  }
  return new ProblemError({ status: 500, code: 'internal', detail: 'an unexpected error; it was logged', cause });
}

/** What Nest makes of a missing route and of the errors Fastify meets while it reads a body. */
function problemOfHttp(cause: HttpException, request: FastifyRequest): ProblemError {
  const status = cause.getStatus();
  switch (status) {
    case 400:
      return new ProblemError({ status, code: 'body-malformed', detail: cause.message, cause });
    case 404: {
      const detail = `there is nothing at ${request.method} ${pathOf(request)}; see /docs`;
      return new ProblemError({ status, code: 'route-unknown', detail, cause });
    }
    case 413:
      return new ProblemError({ status, code: 'body-too-large', detail: 'the request body exceeds 1 MiB', cause });
    case 415: {
      const detail = 'the request body must be application/json';
      return new ProblemError({ status, code: 'media-type-unsupported', detail, cause });
    }
    default:
      return new ProblemError({ status, code: status < 500 ? 'request-invalid' : 'internal', detail: cause.message });
  }
}

function pathOf(request: FastifyRequest): string {
  return request.url.split('?')[0] ?? request.url;
}
