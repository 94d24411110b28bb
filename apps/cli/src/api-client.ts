import { randomUUID } from 'node:crypto';
import type { Context } from './context.js';
import { CliFailure, exitCodes } from './failure.js';

/** RFC 9457 problem document as control-api sends it. */
interface Problem {
  readonly title?: string;
  readonly detail?: string;
  readonly code?: string;
  readonly errors?: readonly { readonly field: string; readonly message: string }[];
}

interface OperationRef {
  readonly id: string;
}

/** Answer of every mutating call: the durable operation and where in the log it was accepted. */
export interface Accepted {
  readonly operation: OperationRef;
  readonly seq: number;
  readonly [field: string]: unknown;
}

/** Talks to control-api. Every failure becomes a CliFailure with the field, the reason and an exit code. */
export class ApiClient {
  constructor(private readonly context: Pick<Context, 'apiUrl' | 'apiToken'>) {}

  /** GET of one resource or list. */
  get<T>(path: string, query: Readonly<Record<string, string | number | undefined>> = {}): Promise<T> {
    return this.#call<T>('GET', withQuery(path, query), undefined, {});
  }

  /** A mutating call. The idempotency key makes a repeated attempt safe; one is made up when none is given. */
  async mutate(
    method: 'POST' | 'DELETE',
    path: string,
    body: unknown,
    idempotencyKey: string = randomUUID(),
  ): Promise<Accepted> {
    return this.#call<Accepted>(method, path, body, { 'idempotency-key': idempotencyKey });
  }

  /** Opens the event stream after `afterSeq`; yields one parsed event per SSE message until aborted. */
  async *follow(afterSeq: number, signal: AbortSignal): AsyncGenerator<unknown> {
    const response = await this.#fetch('/v1/events/stream', {
      headers: { ...this.#headers(), accept: 'text/event-stream', 'last-event-id': String(afterSeq) },
      signal,
    });
    if (!response.ok || response.body === null) throw await failureOf(response);
    let buffer = '';
    for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
      buffer += chunk;
      for (let end = buffer.indexOf('\n\n'); end >= 0; end = buffer.indexOf('\n\n')) {
        const data = buffer
          .slice(0, end)
          .split('\n')
          .filter((line) => line.startsWith('data:'))
          .map((line) => line.slice(5).trimStart())
          .join('\n');
        buffer = buffer.slice(end + 2);
        if (data !== '') yield JSON.parse(data);
      }
    }
  }

  async #call<T>(method: string, path: string, body: unknown, headers: Record<string, string>): Promise<T> {
    const response = await this.#fetch(path, {
      method,
      headers: {
        ...this.#headers(),
        ...headers,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw await failureOf(response);
    return (await response.json()) as T;
  }

  async #fetch(path: string, init: RequestInit): Promise<Response> {
    try {
      return await fetch(new URL(path, this.context.apiUrl), init);
    } catch (cause) {
      throw new CliFailure(
        exitCodes.network,
        `${this.context.apiUrl} does not answer`,
        'is the stack up? run `vouch status`, then `vouch up`',
        { cause },
      );
    }
  }

  #headers(): Record<string, string> {
    return { authorization: `Bearer ${this.context.apiToken}`, accept: 'application/json' };
  }
}

async function failureOf(response: Response): Promise<CliFailure> {
  const problem = (await response.json().catch(() => ({}))) as Problem;
  const fields = (problem.errors ?? []).map(({ field, message }) => `\n  ${field}: ${message}`).join('');
  const text = `${problem.detail ?? problem.title ?? `HTTP ${response.status}`}${fields}`;
  const code =
    response.status === 409
      ? exitCodes.conflict
      : response.status >= 500 || response.status === 429
        ? exitCodes.network
        : exitCodes.misuse;
  return new CliFailure(code, problem.code === undefined ? text : `${text} (${problem.code})`);
}

function withQuery(path: string, query: Readonly<Record<string, string | number | undefined>>): string {
  const entries = Object.entries(query).filter((entry): entry is [string, string | number] => entry[1] !== undefined);
  return entries.length === 0
    ? path
    : `${path}?${new URLSearchParams(entries.map(([key, value]): [string, string] => [key, String(value)]))}`;
}
