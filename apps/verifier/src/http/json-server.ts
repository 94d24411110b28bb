import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';

/** A refusal the caller is told: HTTP status, stable code, and what to do about it. */
class RequestRefusedError extends Error {
  readonly retryable: boolean;
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
    this.name = 'RequestRefusedError';
    this.retryable = status === 503;
  }
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

interface Route {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /** `body` reads the request's bytes, at most the limit. */
  readonly handle: (body: () => Promise<Uint8Array>) => Promise<Answer>;
}

export interface JsonServerOptions {
  readonly routes: readonly Route[];
  readonly maxBodyBytes: number;
  /** Requests worked on at the same time; more are answered 503. */
  readonly maxConcurrent: number;
  readonly onFailure: (error: unknown) => void;
}

const TIMEOUTS = { headersTimeout: 10_000, requestTimeout: 30_000, keepAliveTimeout: 5_000 } as const;

/**
 * An HTTP server over fixed routes. Failures are answered as `{error:{code,message}}`; an unexpected one as 500 `internal`
 * without its text, which `onFailure` gets instead.
 */
export function jsonServer(options: JsonServerOptions): Server {
  let running = 0;
  return createServer(TIMEOUTS, (request, response) => {
    running += 1;
    const work =
      running > options.maxConcurrent
        ? Promise.reject(new RequestRefusedError(503, 'busy', 'too many requests at once; try again'))
        : answer(options, request);
    work
      .catch((error: unknown): Answer => {
        if (error instanceof RequestRefusedError) return refusal(error);
        options.onFailure(error);
        return refusal(new RequestRefusedError(500, 'internal', 'the verifier failed; its log says why'));
      })
      .then((result) => send(request, response, result))
      .catch(options.onFailure)
      .finally(() => {
        running -= 1;
      });
  });
}

async function answer(options: JsonServerOptions, request: IncomingMessage): Promise<Answer> {
  const path = (request.url ?? '/').split('?')[0];
  const here = options.routes.filter((route) => route.path === path);
  if (here.length === 0) throw new RequestRefusedError(404, 'not-found', `no such path: ${path}`);
  const route = here.find(({ method }) => method === request.method);
  if (route === undefined) {
    const allowed = here.map(({ method }) => method).join(', ');
    throw new RequestRefusedError(405, 'method-not-allowed', `only ${allowed} is offered on ${path}`);
  }
  return route.handle(() => readBody(request, options.maxBodyBytes));
}

async function readBody(request: IncomingMessage, maxBodyBytes: number): Promise<Uint8Array> {
  const tooLarge = () =>
    new RequestRefusedError(413, 'body-too-large', `the body is larger than ${maxBodyBytes} bytes`);
  if (Number(request.headers['content-length'] ?? 0) > maxBodyBytes) throw tooLarge();
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > maxBodyBytes) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function refusal({ status, code, message }: RequestRefusedError): Answer {
  return { status, body: { error: { code, message } } };
}

/** A request that was not read to its end cannot share its connection with another one. */
function send(request: IncomingMessage, response: ServerResponse, { status, body }: Answer): void {
  const payload = JSON.stringify(body);
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(payload),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...(request.complete ? {} : { connection: 'close' }),
    ...(status === 503 ? { 'retry-after': '1' } : {}),
  });
  response.end(payload);
}
