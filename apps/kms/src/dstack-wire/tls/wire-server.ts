import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type FieldLogger, type ListenAddress, saysRetryable } from '@vouch/platform';
import type { WireCaller } from '../guest/wire-caller.js';
import { PrpcError } from '../prpc/prpc-error.js';
import { exchange, MAX_BODY_BYTES, type PrpcRequest } from '../prpc/prpc-exchange.js';
import type { PrpcService } from '../prpc/prpc-service.js';
import type { Callers } from './caller-of.js';
import type { ServerIdentity, TempCa } from './rpc-identity.js';
import { WireCounters } from './wire-counters.js';

/** How long a client may take for its whole request, and for the handshake, in milliseconds. */
const REQUEST_MS = 60_000;
const HANDSHAKE_MS = 10_000;
const HEADERS_MS = 20_000;
/** The key of the server's certificate lives this long; renewing it does not touch open connections. */
const RENEW_EVERY_MS = 12 * 3600 * 1000;
const MAX_CONNECTIONS = 1_000;
const PREFIX = '/prpc/';

export interface WireServerParts {
  readonly service: PrpcService<WireCaller>;
  readonly callers: Callers;
  readonly tempCa: TempCa;
  /** Makes a fresh server identity. Throws when it cannot. */
  readonly identity: () => Promise<ServerIdentity>;
  readonly version: string;
  readonly logger: FieldLogger;
}

/**
 * HTTPS as dstack's key server speaks it (dstack-kms §2): a client certificate is asked for but not required, and the temp CA
 * is named as its issuer; `/prpc/<Method>`, `/health`, `/metrics`.
 */
export class WireServer {
  readonly #counters = new WireCounters();
  #server: Server | undefined;
  #renewal: NodeJS.Timeout | undefined;

  constructor(private readonly parts: WireServerParts) {}

  /** Resolves with the port once it listens. Throws what the identity or the socket throws. */
  async listen(address: ListenAddress): Promise<number> {
    const { chain: cert, privateKey: key } = await this.parts.identity();
    const ca = [this.parts.tempCa.certificate];
    const server = createServer(
      {
        ...{ cert, key, ca, requestCert: true, rejectUnauthorized: false, minVersion: 'TLSv1.2' },
        ...{ requestTimeout: REQUEST_MS, headersTimeout: HEADERS_MS, handshakeTimeout: HANDSHAKE_MS },
      },
      (request, response) => void this.#answer(request, response),
    );
    server.maxConnections = MAX_CONNECTIONS;
    server.listen(address.port, address.host);
    await once(server, 'listening');
    this.#server = server;
    this.#renewal = setInterval(() => void this.#renew(server), RENEW_EVERY_MS).unref();
    return (server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    clearInterval(this.#renewal);
    const server = this.#server;
    if (server === undefined) return;
    const closed = once(server, 'close');
    server.close();
    server.closeIdleConnections();
    const impatient = setTimeout(() => server.closeAllConnections(), 5_000);
    await closed;
    clearTimeout(impatient);
  }

  /** The old identity stays when a new one cannot be made: its certificate is good for years. */
  async #renew(server: Server): Promise<void> {
    try {
      const { chain: cert, privateKey: key } = await this.parts.identity();
      server.setSecureContext({ cert, key, ca: [this.parts.tempCa.certificate], minVersion: 'TLSv1.2' });
    } catch (error) {
      this.parts.logger.error(
        { err: error as Error },
        'the server certificate of the dstack wire could not be renewed',
      );
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [path = '', query = ''] = splitUrl(request.url ?? '');
    response.setHeader('X-App-Version', this.parts.version);
    response.setHeader('Cache-Control', 'no-store');
    try {
      if (path === '/health') return send(response, 200, 'text/plain', Buffer.from('OK'));
      if (path === '/metrics')
        return send(response, 200, 'text/plain; version=0.0.4', Buffer.from(this.#counters.text()));
      const method = path.startsWith(PREFIX) ? decodePath(path.slice(PREFIX.length)) : undefined;
      const { method: verb } = request;
      if (method === undefined || method.includes('/') || (verb !== 'GET' && verb !== 'POST')) {
        return send(response, 404, 'text/plain', Buffer.from('Not Found'));
      }
      await this.#exchange(request, response, { path: method, verb, query });
    } catch (error) {
      this.parts.logger.error({ err: error as Error }, 'the dstack wire failed to answer');
      response.destroy();
    }
  }

  async #exchange(
    request: IncomingMessage,
    response: ServerResponse,
    line: Pick<PrpcRequest<WireCaller>, 'path' | 'verb' | 'query'>,
  ): Promise<void> {
    const { service, callers, logger } = this.parts;
    const call: PrpcRequest<WireCaller> = {
      ...line,
      contentType: request.headers['content-type'],
      body: () => readBody(request),
      caller: (methodName) => callers.of(request, methodName),
    };
    const answer = await exchange(service, call, (error, method) => {
      if (saysRetryable(error) === true) logger.warn({ reason: (error as Error).message, method }, 'not answered now');
      else logger.error({ err: error as Error, method }, 'a call of the dstack wire failed');
    });
    this.#counters.count(answer.method, answer.status);
    // What is left of a body that was not read is not waited for.
    if (!request.complete) response.setHeader('Connection', 'close');
    send(response, answer.status, answer.contentType, answer.body);
  }
}

async function readBody(request: IncomingMessage): Promise<Uint8Array> {
  const declared = Number(request.headers['content-length'] ?? 0);
  if (declared > MAX_BODY_BYTES) throw tooLarge();
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function tooLarge(): PrpcError {
  return new PrpcError('failed to read data: payload too large');
}

function splitUrl(url: string): [string, string] {
  const at = url.indexOf('?');
  return at < 0 ? [url, ''] : [url.slice(0, at), url.slice(at + 1)];
}

function decodePath(path: string): string | undefined {
  try {
    return decodeURIComponent(path);
  } catch {
    return undefined;
  }
}

function send(response: ServerResponse, status: number, contentType: string, body: Uint8Array): void {
  response.writeHead(status, { 'content-type': contentType, 'content-length': body.length });
  response.end(body);
}
