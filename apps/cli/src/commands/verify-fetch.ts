import { type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { isIP } from 'node:net';
import { connect } from 'node:tls';
import { type AttestationEvidence, MAX_EVIDENCE_BYTES, readEvidence } from '@vouch/attestation';
import type { Check } from '@vouch/domain';
import { CliFailure, exitCodes } from '../failure.js';

/** Evidence of a live app, and how it hangs together with the connection it came over. */
export interface FetchedEvidence {
  readonly evidence: AttestationEvidence;
  readonly checks: readonly Check[];
}

const TIMEOUT_MS = 15_000;

/**
 * Gets evidence from a live app: from its RA-TLS certificate when it presents one, else the document at the URL's path.
 * @throws CliFailure 3 when it does not answer, 2 when what answers carries no evidence
 */
export async function fetchEvidence(url: URL, tlsRootsPem: string | undefined): Promise<FetchedEvidence> {
  if (url.protocol === 'https:') {
    const carried = readEvidence(await serverCertificate(url));
    if (carried.ok) return { evidence: carried.value, checks: [...carried.checks, connectionBound(url)] };
    if (carried.code !== 'EVIDENCE_MISSING') {
      throw new CliFailure(exitCodes.badEvidence, `the certificate of ${url.host}: ${carried.failed.detail}`);
    }
  }
  if (url.pathname === '/' && url.search === '') {
    throw new CliFailure(
      exitCodes.badEvidence,
      `${url.host} presents no RA-TLS certificate`,
      'give the URL of its evidence document, for example https://host/evidence',
    );
  }
  const read = readEvidence(await documentAt(url, tlsRootsPem));
  if (!read.ok) throw new CliFailure(exitCodes.badEvidence, `${url.href} answered no evidence: ${read.failed.detail}`);
  return { evidence: read.value, checks: [...read.checks, connectionUnbound(url)] };
}

function connectionBound(url: URL): Check {
  return {
    name: 'connection.binding',
    outcome: 'pass',
    detail: `${url.host} proved that it holds the key of this certificate (see ratls.key-binding)`,
  };
}

function connectionUnbound(url: URL): Check {
  return {
    name: 'connection.binding',
    outcome: 'skipped',
    detail: `the evidence does not name the key of ${url.host}: it proves that such a guest exists, not that it answers here`,
  };
}

/**
 * The certificate a server presents. Its chain is not judged here, since RA-TLS certificates lead to no public root: the
 * handshake proves that the server holds the key, and the quote inside, once verified, that a TD made it.
 */
function serverCertificate(url: URL): Promise<Uint8Array> {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  return new Promise((resolve, reject) => {
    const socket = connect({
      host,
      port: url.port === '' ? 443 : Number(url.port),
      ...(isIP(host) === 0 ? { servername: host } : {}),
      rejectUnauthorized: false,
      timeout: TIMEOUT_MS,
    });
    const fail = (error: Error) => {
      socket.destroy();
      reject(unreachable(url, error));
    };
    socket.once('timeout', () => fail(new Error(`no answer within ${TIMEOUT_MS / 1000} s`)));
    socket.once('error', fail);
    socket.once('secureConnect', () => {
      const certificate = socket.getPeerX509Certificate();
      socket.destroy();
      if (certificate === undefined) reject(unreachable(url, new Error('no certificate was presented')));
      else resolve(certificate.raw);
    });
  });
}

async function documentAt(url: URL, tlsRootsPem: string | undefined): Promise<Uint8Array> {
  try {
    const response = await open(url, tlsRootsPem);
    if (response.statusCode !== 200) {
      response.destroy();
      throw new CliFailure(exitCodes.network, `${url.href} answered HTTP ${response.statusCode}`);
    }
    const chunks: Buffer[] = [];
    let sizeBytes = 0;
    for await (const chunk of response as AsyncIterable<Buffer>) {
      sizeBytes += chunk.length;
      if (sizeBytes > MAX_EVIDENCE_BYTES) {
        throw new CliFailure(exitCodes.badEvidence, `${url.href} answered more than ${MAX_EVIDENCE_BYTES} bytes`);
      }
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  } catch (error) {
    if (error instanceof CliFailure) throw error;
    throw unreachable(url, error as Error);
  }
}

function open(url: URL, tlsRootsPem: string | undefined): Promise<IncomingMessage> {
  const options = { agent: false, signal: AbortSignal.timeout(TIMEOUT_MS), headers: { accept: 'application/json' } };
  return new Promise((resolve, reject) => {
    const call =
      url.protocol === 'https:'
        ? requestHttps(url, {
            ...options,
            rejectUnauthorized: true,
            ...(tlsRootsPem === undefined ? {} : { ca: tlsRootsPem }),
          })
        : requestHttp(url, options);
    call.once('response', resolve);
    call.on('error', reject);
    call.end();
  });
}

function unreachable(url: URL, error: Error): CliFailure {
  const reason = 'code' in error ? `${String(error.code)}: ${error.message}` : error.message;
  return new CliFailure(exitCodes.network, `${url.host} cannot be reached: ${reason}`, '', { cause: error });
}
