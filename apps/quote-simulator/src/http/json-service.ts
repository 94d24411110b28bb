import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';

/** A refusal the caller is told: HTTP status, stable code, and what to do about it. */
export class RequestRefusedError extends Error {
  readonly retryable = false;
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
    this.name = 'RequestRefusedError';
  }
}

export interface ServiceRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  /** The JSON body; undefined when the request has none. Throws RequestRefusedError. */
  json(): Promise<unknown>;
}

export interface ServiceResponse {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Text or bytes are sent as they are, anything else as JSON. */
  readonly body: unknown;
}

export type Handler = (request: ServiceRequest) => Promise<ServiceResponse>;

/** Largest request body in bytes: a vm_config of 16 KiB, escaped, with room. */
const MAX_BODY_BYTES = 64 * 1024;
const TIMEOUTS = { headersTimeout: 10_000, requestTimeout: 20_000 } as const;

/**
 * An HTTP server over one handler. Every failure is answered as `{error:{code,message}}`; an unexpected one as 500
 * `internal` without its text, which `onFailure` gets instead.
 */
export function jsonService(handler: Handler, onFailure: (error: unknown) => void): Server {
  return createServer(TIMEOUTS, (request, response) => {
    serve(handler, request)
      .catch((error: unknown): ServiceResponse => {
        if (error instanceof RequestRefusedError) return errorResponse(error.status, error.code, error.message);
        onFailure(error);
        return errorResponse(500, 'internal', 'the simulator failed; its log says why');
      })
      .then((answer) => send(response, answer))
      .catch(onFailure);
  });
}

async function serve(handler: Handler, request: IncomingMessage): Promise<ServiceResponse> {
  let url: URL;
  try {
    url = new URL(request.url ?? '/', 'http://simulator');
  } catch {
    throw new RequestRefusedError(400, 'url-invalid', 'the request target is not a valid URL');
  }
  return handler({
    method: request.method ?? 'GET',
    path: url.pathname,
    query: url.searchParams,
    json: () => readJson(request),
  });
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) {
      throw new RequestRefusedError(413, 'body-too-large', `the body is larger than ${MAX_BODY_BYTES} bytes`);
    }
    chunks.push(chunk);
  }
  if (size === 0) return undefined;
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks)));
  } catch {
    throw new RequestRefusedError(400, 'body-not-json', 'the body is not UTF-8 JSON');
  }
}

function errorResponse(status: number, code: string, message: string): ServiceResponse {
  return { status, body: { error: { code, message } } };
}

function send(response: ServerResponse, answer: ServiceResponse): void {
  const isJson = typeof answer.body !== 'string' && !(answer.body instanceof Uint8Array);
  const payload = isJson ? JSON.stringify(answer.body) : (answer.body as string | Uint8Array);
  const type = isJson ? 'application/json' : 'application/octet-stream';
  response.writeHead(answer.status, {
    'content-type': type,
    'content-length': Buffer.byteLength(payload),
    ...answer.headers,
  });
  response.end(payload);
}
