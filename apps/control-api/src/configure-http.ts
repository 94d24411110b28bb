import { StandardSchemaValidationPipe } from '@nestjs/common';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import type { FieldLogger } from '@vouch/platform';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ApiTokens } from './auth/api-tokens.js';
import { admit } from './auth/request-gate.js';
import { ProblemError } from './problems/problem-error.js';
import { PROBLEM_JSON, ProblemFilter } from './problems/problem-filter.js';

/** Largest request body, bytes. */
const BODY_LIMIT_BYTES = 1024 * 1024;
/** A whole request must have arrived within this time, ms. */
const REQUEST_LIMIT_MS = 30_000;

const SECURITY_HEADERS = {
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store',
} as const;

export function httpAdapter(): FastifyAdapter {
  return new FastifyAdapter({
    bodyLimit: BODY_LIMIT_BYTES,
    requestTimeout: REQUEST_LIMIT_MS,
    trustProxy: false,
    return503OnClosing: true,
    frameworkErrors: (error: Error, _request: FastifyRequest, reply: FastifyReply) => {
      // Met before routing, so no filter sees it.
      const { document } = new ProblemError({ status: 400, code: 'url-malformed', detail: error.message });
      void reply.code(400).type(PROBLEM_JSON).send(JSON.stringify(document));
    },
  });
}

/** Everything between the socket and the controllers: gate, validation, errors, security headers, description. */
export function configureHttp(app: NestFastifyApplication, tokens: ApiTokens, logger: FieldLogger): void {
  const filter = new ProblemFilter(logger);
  app.useGlobalFilters(filter);
  app.useGlobalPipes(new StandardSchemaValidationPipe({ exceptionFactory: invalidRequest }));
  const fastify = app.getHttpAdapter().getInstance();
  fastify.addHook('onRequest', async (request: FastifyRequest, reply: FastifyReply) => {
    reply.headers(SECURITY_HEADERS);
    admit(request, tokens);
  });
  describe(app);
}

interface Issue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

function invalidRequest(issues: readonly Issue[]): ProblemError {
  const errors = issues.slice(0, 50).map(({ message, path = [] }) => ({
    field: path.map((step) => String(typeof step === 'object' ? step.key : step)).join('.') || 'body',
    message,
  }));
  const [first] = errors;
  const detail = first === undefined ? 'the request is invalid' : `${first.field}: ${first.message}`;
  return new ProblemError({ status: 400, code: 'request-invalid', detail, errors });
}

function describe(app: NestFastifyApplication): void {
  const description = new DocumentBuilder()
    .setTitle('Vouch control API')
    .setDescription(
      'Every change is a durable operation: a mutation answers 202 once it is in the log, and the operation says how it ends. Errors are application/problem+json with a stable `code`.',
    )
    .setVersion('1')
    .addBearerAuth({ type: 'http', scheme: 'bearer' }, 'bearer')
    .build();
  SwaggerModule.setup('docs', app, () => withProblemType(SwaggerModule.createDocument(app, description)), {
    customSiteTitle: 'Vouch control API',
  });
}

/** Nest describes every answer as application/json; errors are application/problem+json. */
function withProblemType(document: OpenAPIObject): OpenAPIObject {
  for (const path of Object.values(document.paths)) {
    for (const method of ['get', 'post', 'delete'] as const) {
      for (const [status, response] of Object.entries(path[method]?.responses ?? {})) {
        if (Number(status) < 400 || response === undefined || !('content' in response)) continue;
        const [described] = Object.values(response.content ?? {});
        if (described !== undefined) response.content = { 'application/problem+json': described };
      }
    }
  }
  return document;
}
