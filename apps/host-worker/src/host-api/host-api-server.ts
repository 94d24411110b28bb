import { chmod, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { asError, type FieldLogger, pause } from '@vouch/platform';
import type { GuestRelay, LiveGuest } from './guest-relay.js';
import { HostApiError } from './host-api-error.js';
import { TokenBucket } from './token-bucket.js';

const KIB = 1024;
const MAX_CONNECTIONS = 16;
const READY_WAIT_MS = 10_000;
const READY_POLL_MS = 20;
const MAX_PROGRESS_PER_LAUNCH = 64;
const MAX_GRANT_WAITS = 4;

interface Route {
  readonly method: 'GET' | 'POST';
  readonly maxBodyBytes: number;
  /** How many at once, and per second in the long run. */
  readonly rate: readonly [burst: number, perSecond: number];
}

/** What a guest may ask, how large and how often. A guest may be hostile: all of it is bounded. */
const ROUTES: Readonly<Record<string, Route>> = {
  challenge: { method: 'POST', maxBodyBytes: KIB, rate: [10, 0.5] },
  attest: { method: 'POST', maxBodyBytes: 240 * KIB, rate: [6, 0.2] },
  grant: { method: 'GET', maxBodyBytes: 0, rate: [20, 1] },
  progress: { method: 'POST', maxBodyBytes: 8 * KIB, rate: [40, 2] },
  healthy: { method: 'POST', maxBodyBytes: KIB, rate: [10, 0.5] },
  certificate: { method: 'POST', maxBodyBytes: 32 * KIB, rate: [10, 0.2] },
};

export interface HostApiParts {
  readonly relay: GuestRelay;
  readonly logger: FieldLogger;
  readonly monotonicMs: () => number;
  /** The guest while it is running and the log knows that it was launched; undefined otherwise. */
  readonly liveGuest: () => LiveGuest | undefined;
}

/**
 * The host API of one guest (HTTP JSON over its unix socket): /challenge, /attest, /grant/<id>, /progress, /healthy,
 * /certificate. Failures are `{error: {code, message, retryable}}`. Requests wait until the log knows of the launch,
 * so that what a guest reports never precedes it.
 */
export class HostApiServer {
  readonly #server: Server;
  readonly #abort = new AbortController();
  readonly #buckets: ReadonlyMap<string, TokenBucket>;
  #grantWaits = 0;
  #progressOf = { launchId: '', count: 0 };

  constructor(
    private readonly socketPath: string,
    private readonly parts: HostApiParts,
  ) {
    this.#buckets = new Map(
      Object.entries(ROUTES).map(([name, { rate }]) => [name, new TokenBucket(...rate, parts.monotonicMs)]),
    );
    const limits = { maxHeaderSize: 8 * KIB, headersTimeout: 5_000, requestTimeout: 20_000, keepAliveTimeout: 5_000 };
    this.#server = createServer(limits, (request, response) => {
      this.#serve(request, response).catch((error: unknown) => this.#refuse(response, error));
    });
    this.#server.maxConnections = MAX_CONNECTIONS;
  }

  /** Replaces a socket file an earlier worker left. */
  async open(): Promise<void> {
    await rm(this.socketPath, { force: true });
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.socketPath, resolve);
    });
    await chmod(this.socketPath, 0o600);
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://host');
    const [, name = '', argument] = url.pathname.split('/');
    const route = Object.hasOwn(ROUTES, name) ? ROUTES[name] : undefined;
    if (route === undefined) throw new HostApiError(404, 'not-found', 'no such path', false);
    if (request.method !== route.method)
      throw new HostApiError(405, 'method-not-allowed', `${route.method} only`, false);
    if (this.#buckets.get(name)?.tryTake() !== true) {
      throw new HostApiError(429, 'rate-limited', `too many requests to /${name}`, true);
    }
    const body = route.method === 'POST' ? await readJson(request, route.maxBodyBytes) : undefined;
    const guest = await this.#guest();
    const { relay } = this.parts;
    switch (name) {
      case 'challenge':
        return send(response, 200, await relay.challenge(guest));
      case 'attest':
        return send(response, 200, await relay.attest(guest, body));
      case 'grant':
        return await this.#grant(response, guest, argument ?? '', url.searchParams.get('waitMs'));
      case 'progress':
        this.#countProgress(guest);
        await relay.progress(guest, body);
        return send(response, 200, {});
      case 'healthy':
        await relay.healthy(guest, body);
        return send(response, 200, {});
      default:
        return send(response, 200, await relay.certificate(guest, body));
    }
  }

  async #grant(response: ServerResponse, guest: LiveGuest, id: string, waitText: string | null): Promise<void> {
    const waitMs = Number(waitText ?? 0);
    if (!Number.isInteger(waitMs) || waitMs < 0)
      throw new HostApiError(400, 'bad-request', 'waitMs is not a number', false);
    if (this.#grantWaits >= MAX_GRANT_WAITS)
      throw new HostApiError(429, 'rate-limited', 'too many waits at once', true);
    this.#grantWaits += 1;
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    try {
      const signal = AbortSignal.any([gone.signal, this.#abort.signal]);
      const text = await this.parts.relay.grant(guest, id, waitMs, signal);
      if (text === undefined) response.writeHead(204).end();
      else response.writeHead(200, { 'content-type': 'application/json' }).end(text);
    } finally {
      this.#grantWaits -= 1;
    }
  }

  #countProgress({ launch }: LiveGuest): void {
    if (this.#progressOf.launchId !== launch.id) this.#progressOf = { launchId: launch.id, count: 0 };
    this.#progressOf.count += 1;
    if (this.#progressOf.count > MAX_PROGRESS_PER_LAUNCH) {
      const limit = `at most ${MAX_PROGRESS_PER_LAUNCH} steps of one start are reported`;
      throw new HostApiError(403, 'too-much-progress', limit, false);
    }
  }

  async #guest(): Promise<LiveGuest> {
    const deadline = this.parts.monotonicMs() + READY_WAIT_MS;
    for (;;) {
      const guest = this.parts.liveGuest();
      if (guest !== undefined) return guest;
      if (this.parts.monotonicMs() > deadline || this.#abort.signal.aborted) {
        throw new HostApiError(503, 'not-launched', 'the log does not know of this launch yet', true);
      }
      await pause(READY_POLL_MS, this.#abort.signal);
    }
  }

  #refuse(response: ServerResponse, thrown: unknown): void {
    if (response.headersSent || response.destroyed) {
      response.destroy();
      return;
    }
    if (thrown instanceof HostApiError) {
      const { status, code, message, retryable } = thrown;
      send(response, status, { error: { code, message, retryable } });
      return;
    }
    this.parts.logger.error({ err: asError(thrown) }, 'a host API request failed');
    send(response, 500, { error: { code: 'internal', message: 'the host failed; its log says why', retryable: true } });
  }
}

async function readJson(request: IncomingMessage, maxBytes: number): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes)
      throw new HostApiError(413, 'body-too-large', `the body is larger than ${maxBytes} bytes`, false);
    chunks.push(chunk);
  }
  if (size === 0) return {};
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks)));
  } catch {
    throw new HostApiError(400, 'bad-request', 'the body is not UTF-8 JSON', false);
  }
}

function send(response: ServerResponse, status: number, body: unknown): void {
  const payload = JSON.stringify(body);
  // A refused body may not have been read to its end: the connection cannot be used again.
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) };
  response.writeHead(status, status >= 400 ? { ...headers, connection: 'close' } : headers).end(payload);
}
