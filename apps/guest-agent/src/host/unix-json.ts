import { request } from 'node:http';

/** A request over a unix socket that got no usable answer. */
export class UnixRequestError extends Error {
  constructor(
    readonly code: 'unreachable' | 'timeout' | 'refused' | 'malformed',
    message: string,
    readonly retryable: boolean,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'UnixRequestError';
  }
}

export interface UnixJsonRequest {
  readonly socketPath: string;
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: unknown;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/** Largest answer taken, in bytes. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024;

/**
 * One HTTP request with JSON in and out over a unix socket. Gives the parsed answer, or undefined for 204. Throws
 * UnixRequestError: `unreachable` and `timeout` can be retried, `refused` when the answer says so or is a 5xx.
 */
export async function unixJson(options: UnixJsonRequest): Promise<unknown> {
  const { status, text } = await exchange(options);
  if (status === 204) return undefined;
  const json = parse(text);
  const where = `${options.method} ${options.path.split('?')[0]}`;
  if (status < 200 || status > 299) throw refusalOf(where, status, json);
  if (json === undefined) throw new UnixRequestError('malformed', `${where}: the answer is not JSON`, false);
  return json;
}

function exchange(options: UnixJsonRequest): Promise<{ status: number; text: string }> {
  const { socketPath, method, path, body, timeoutMs, signal } = options;
  const where = `${method} ${path.split('?')[0]}`;
  const payload = body === undefined ? undefined : JSON.stringify(body);
  const timeout = AbortSignal.timeout(timeoutMs);
  const abort = signal === undefined ? timeout : AbortSignal.any([timeout, signal]);
  return new Promise((resolve, reject) => {
    const fail = (cause: Error): void => {
      const detail = (cause as NodeJS.ErrnoException).code ?? cause.message;
      if (signal?.aborted === true) reject(signal.reason);
      else if (timeout.aborted) {
        reject(new UnixRequestError('timeout', `${where}: no answer within ${timeoutMs} ms`, true));
      } else reject(new UnixRequestError('unreachable', `${where}: ${detail}`, true, { cause }));
    };
    const headers = {
      connection: 'close',
      ...(payload === undefined
        ? {}
        : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) }),
    };
    const call = request({ socketPath, method, path, headers, signal: abort, agent: false }, (answer) => {
      const chunks: Buffer[] = [];
      let size = 0;
      answer.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > MAX_ANSWER_BYTES) call.destroy(new Error('the answer is too large'));
        else chunks.push(chunk);
      });
      answer.on('error', fail);
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }));
    });
    call.on('error', fail);
    call.end(payload);
  });
}

function refusalOf(where: string, status: number, json: unknown): UnixRequestError {
  const error = ((json ?? {}) as { error?: unknown }).error;
  const { code, message, retryable } = (typeof error === 'object' && error !== null ? error : {}) as Record<
    string,
    unknown
  >;
  const reason = [code, message].filter((part) => typeof part === 'string').join(': ') || 'no reason given';
  const canRetry = typeof retryable === 'boolean' ? retryable : status >= 500 || status === 429;
  return new UnixRequestError('refused', `${where}: ${status} ${reason.slice(0, 500)}`, canRetry);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
