import { type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { EndpointFault } from './collateral-unavailable-error.js';

/** Body and headers (names in lower case) of one answer. */
export interface Document {
  readonly body: Uint8Array;
  readonly headers: Readonly<Record<string, string | undefined>>;
}

interface FetchOptions {
  /** For the whole exchange: connection, TLS, headers and body. */
  readonly timeoutMs: number;
  /** PEM of TLS roots that replace the system's. */
  readonly tlsRootsPem: string | undefined;
  /** Largest body; default 4 MiB. */
  readonly maxBytes?: number;
}

/** Gets one document. @throws EndpointFault */
export type FetchDocument = (url: URL, options: FetchOptions) => Promise<Document>;

const BODY_MAX_BYTES = 4 * 1024 * 1024;
/** Issuer chains travel in headers, URL-encoded: about 8 KiB for a pair of certificates. */
const HEADERS_MAX_BYTES = 64 * 1024;
const RETRYABLE_STATUS: ReadonlySet<number> = new Set([408, 425, 429]);

/**
 * One GET: no redirects, no compression, bounded in time and size. The server's certificate is always verified, also when
 * NODE_TLS_REJECT_UNAUTHORIZED says otherwise.
 */
export const fetchDocument: FetchDocument = async (url, { timeoutMs, tlsRootsPem, maxBytes }) => {
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    const response = await open(url, signal, tlsRootsPem);
    return { body: await readBody(response, maxBytes ?? BODY_MAX_BYTES), headers: textHeaders(response) };
  } catch (error) {
    throw faultOf(error, signal, timeoutMs);
  }
};

function open(url: URL, signal: AbortSignal, tlsRootsPem: string | undefined): Promise<IncomingMessage> {
  const options = {
    signal,
    agent: false,
    maxHeaderSize: HEADERS_MAX_BYTES,
    headers: { accept: '*/*', 'accept-encoding': 'identity', 'user-agent': 'vouch' },
  };
  return new Promise((resolve, reject) => {
    const call =
      url.protocol === 'https:'
        ? requestHttps(url, {
            ...options,
            rejectUnauthorized: true,
            minVersion: 'TLSv1.2',
            ...(tlsRootsPem === undefined ? {} : { ca: tlsRootsPem }),
          })
        : requestHttp(url, options);
    call.once('response', resolve);
    // Stays for the whole exchange: an error after the response must not become an uncaught one.
    call.on('error', reject);
    call.end();
  });
}

async function readBody(response: IncomingMessage, maxBytes: number): Promise<Uint8Array> {
  const status = response.statusCode ?? 0;
  try {
    if (status !== 200) {
      const retryable = status >= 500 || RETRYABLE_STATUS.has(status);
      throw new EndpointFault('HTTP_STATUS', `answered HTTP ${status}`, retryable);
    }
    const encoding = response.headers['content-encoding'] ?? 'identity';
    if (encoding !== 'identity') throw new EndpointFault('MALFORMED', `answered with encoding ${encoding}`, true);
    const chunks: Uint8Array[] = [];
    let sizeBytes = 0;
    for await (const chunk of response as AsyncIterable<Buffer>) {
      sizeBytes += chunk.length;
      if (sizeBytes > maxBytes) {
        throw new EndpointFault('TOO_LARGE', `answered more than ${maxBytes} bytes`, true);
      }
      chunks.push(chunk);
    }
    if (!response.complete) throw new EndpointFault('TRUNCATED', 'the answer ended early', true);
    return new Uint8Array(Buffer.concat(chunks));
  } finally {
    response.destroy();
  }
}

function textHeaders({ headers }: IncomingMessage): Document['headers'] {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : value]),
  );
}

function faultOf(error: unknown, signal: AbortSignal, timeoutMs: number): EndpointFault {
  if (error instanceof EndpointFault) return error;
  if (signal.aborted)
    return new EndpointFault('TIMEOUT', `did not answer within ${timeoutMs} ms`, true, { cause: error });
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const reason = code !== '' ? code : error instanceof Error ? error.message : String(error);
  if (/^ERR_(TLS|SSL)|CERT|VERIFY|^EPROTO$/.test(code)) {
    return new EndpointFault('TLS', `its TLS certificate or handshake was refused: ${reason}`, true, { cause: error });
  }
  if (code === 'ECONNRESET' && error instanceof Error && error.message === 'aborted') {
    return new EndpointFault('TRUNCATED', 'the connection ended before the answer did', true, { cause: error });
  }
  if (code.startsWith('HPE_'))
    return new EndpointFault('MALFORMED', `does not speak HTTP: ${code}`, true, { cause: error });
  return new EndpointFault('UNREACHABLE', `cannot be reached: ${reason}`, true, { cause: error });
}
