import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException } from '@nestjs/common';
import { EventRejectedError } from '@vouch/domain';
import { asError, type FieldLogger, saysRetryable } from '@vouch/platform';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ProblemError } from './problem-error.js';

/** Turns whatever ended a request into problem+json. What is not expected is logged and answered without its text. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(private readonly logger: FieldLogger) {}

  catch(thrown: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const request = http.getRequest<FastifyRequest>();
    this.answer(thrown, request, http.getResponse<FastifyReply>());
  }

  /** For errors that Fastify meets before Nest does (body too large, malformed JSON). */
  answer(thrown: unknown, request: FastifyRequest, reply: FastifyReply): void {
    const problem = problemOf(thrown, request);
    if (problem.status >= 500) {
      this.logger.error({ err: asError(thrown), code: problem.code, url: pathOf(request) }, 'request failed');
    }
    if (reply.sent || reply.raw.headersSent) {
      reply.raw.destroy();
      return;
    }
    void reply
      .code(problem.status)
      .headers(problem.headers)
      .type('application/problem+json; charset=utf-8')
      .send(JSON.stringify(problem.document));
  }
}

/** Fastify's own errors, by their codes. */
const FASTIFY_PROBLEMS: Readonly<Record<string, { status: number; code: string; detail: string }>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: { status: 413, code: 'body-too-large', detail: 'the request body exceeds 1 MiB' },
  FST_ERR_CTP_INVALID_MEDIA_TYPE: {
    status: 415,
    code: 'media-type-unsupported',
    detail: 'the request body must be application/json',
  },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: {
    status: 400,
    code: 'body-malformed',
    detail: 'the body is shorter or longer than its Content-Length',
  },
  FST_ERR_CTP_EMPTY_JSON_BODY: {
    status: 400,
    code: 'json-malformed',
    detail: 'the body is empty but Content-Type says application/json',
  },
};

function problemOf(thrown: unknown, request: FastifyRequest): ProblemError {
  if (thrown instanceof ProblemError) return thrown;
  const cause = asError(thrown);
  const { code = '', statusCode } = cause as { code?: string; statusCode?: number };
  const known = FASTIFY_PROBLEMS[code];
  if (known !== undefined) return new ProblemError({ ...known, cause });
  if (cause instanceof SyntaxError && statusCode === 400) {
    return new ProblemError({
      status: 400,
      code: 'json-malformed',
      detail: `the body is not JSON: ${cause.message}`,
      cause,
    });
  }
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

function problemOfHttp(error: HttpException, request: FastifyRequest): ProblemError {
  const status = error.getStatus();
  if (status === 404) {
    const detail = `there is nothing at ${request.method} ${pathOf(request)}; see /docs`;
    return new ProblemError({ status, code: 'route-unknown', detail, cause: error });
  }
  if (status === 400 && error.message.includes('JSON')) {
    return new ProblemError({ status, code: 'json-malformed', detail: 'the body is not JSON', cause: error });
  }
  return new ProblemError({ status, code: status < 500 ? 'request-invalid' : 'internal', detail: error.message });
}

function pathOf(request: FastifyRequest): string {
  return request.url.split('?')[0] ?? request.url;
}
