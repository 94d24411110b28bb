import { chmod, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { AgentFailure } from '../agent-failure.js';
import type { AgentLog } from '../agent-log.js';
import { getKey, signData, verifyData } from './app-keys.js';
import type { GuestContext } from './guest-context.js';
import { InfoService } from './info.js';
import { attest, getQuote } from './quotes.js';
import { RpcError } from './rpc-error.js';
import { RpcRequest } from './rpc-request.js';
import { getTlsKey } from './tls-key.js';

const MAX_BODY_BYTES = 10 * 1024 * 1024;
/** The dstack API level this socket answers with; `rev` says what really runs. */
const API_VERSION = { version: '0.5.11', rev: 'vouch-0.1.0' } as const;

type Method = (request: RpcRequest) => unknown;

/** dstack.sock: dstack's internal v0 API in JSON mode, over HTTP on a unix socket (dstack-guest §2, §3.2). */
export class SocketApi {
  readonly #methods: ReadonlyMap<string, Method>;
  readonly #server: Server;

  constructor(
    context: GuestContext,
    private readonly log: AgentLog,
  ) {
    const info = new InfoService(context);
    this.#methods = new Map<string, Method>([
      ['Info', () => info.info()],
      ['GetKey', (request) => getKey(context, request)],
      ['GetQuote', (request) => getQuote(context, request)],
      ['GetTlsKey', (request) => getTlsKey(context, request)],
      ['Attest', (request) => attest(context, request)],
      ['Sign', (request) => signData(context, request)],
      ['Verify', (request) => verifyData(request)],
      ['Version', () => API_VERSION],
      ['EmitEvent', refuseEmitEvent],
    ]);
    this.#server = createServer((request, response) => void this.#serve(request, response));
  }

  /** Listens at `path` (mode 0600), taking the place of a dead agent's socket, never of a living one's. */
  async listen(path: string): Promise<void> {
    if (await answers(path)) throw new AgentFailure('already-running', `another agent serves ${path}`);
    await rm(path, { force: true });
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(path, resolve);
    });
    await chmod(path, 0o600);
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://dstack');
    const name = url.pathname.slice(1);
    try {
      const method = this.#methods.get(name);
      if (method === undefined) throw new RpcError(`Service not found: ${name}`);
      answer(response, 200, `${JSON.stringify(await method(await readRequest(request, url)))}`);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (!(error instanceof RpcError)) this.log.error(`${name.slice(0, 32)} failed`, { error: message });
      answer(response, 400, JSON.stringify({ error: message }, null, 2));
    }
  }
}

function refuseEmitEvent(): never {
  throw new RpcError('EmitEvent removed in 0.6.0: runtime RTMR3 events are system-owned');
}

async function readRequest(request: IncomingMessage, url: URL): Promise<RpcRequest> {
  if (request.method === 'GET') return new RpcRequest(queryFields(url));
  const isJson = url.searchParams.has('json') || /\bjson\b/i.test(request.headers['content-type'] ?? '');
  const body = await readBody(request);
  if (!isJson) throw new RpcError('protobuf mode is not supported: send Content-Type: application/json');
  if (body.trim() === '') return new RpcRequest({});
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    throw new RpcError('Failed to parse request: not JSON');
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new RpcError('Failed to parse request: not a JSON object');
  }
  return new RpcRequest(json as Record<string, unknown>);
}

/** Query fields; `name[]=a`, `name[0]=a` and a repeated name give a list. */
function queryFields(url: URL): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  for (const [name, value] of url.searchParams) {
    const listName = /^(.+)\[\d*\]$/.exec(name)?.[1];
    const key = listName ?? name;
    const before = Object.hasOwn(fields, key) ? fields[key] : undefined;
    if (Array.isArray(before)) before.push(value);
    else if (before !== undefined) fields[key] = [before, value];
    else fields[key] = listName === undefined ? value : [value];
  }
  return fields;
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw new RpcError('payload too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** ASCII only: published clients compare Content-Length with a count of UTF-16 units. */
function answer(response: ServerResponse, status: number, json: string): void {
  const text = json.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
  response.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': text.length });
  response.end(text);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const settle = (alive: boolean) => () => {
      socket.destroy();
      resolve(alive);
    };
    socket.once('connect', settle(true));
    socket.once('error', settle(false));
  });
}
