import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { CollateralUnavailableError } from '@vouch/attestation';
import { type HostRateLimit, HostRateLimitedError } from '../../challenge/host-rate-limit.js';
import type { EvidenceAppraiser } from '../../evidence/evidence-appraiser.js';
import { type JudgedEvidence, judgeEvidence } from '../guest/judge-evidence.js';
import { presentedByCertificate } from '../guest/presented-evidence.js';
import type { WireCaller } from '../guest/wire-caller.js';
import { PrpcError } from '../prpc/prpc-error.js';
import { refusalText } from '../release/refusal-text.js';
import type { ReleaseLog, ReleaseMethod } from '../release/release-log.js';

/** How long what was found about a connection's certificate holds, in milliseconds: TCB and time move on. */
const JUDGED_FOR_MS = 60_000;

export interface CallerParts {
  readonly appraiser: EvidenceAppraiser;
  readonly releases: ReleaseLog;
  /** By remote address. */
  readonly limit: HostRateLimit;
  readonly unsafe: readonly string[];
  readonly monotonicMs: () => number;
}

/**
 * Knows the client of each request: the evidence in its certificate is judged before any method runs, once per connection and
 * minute, and bad evidence is an error whatever the method. A certificate without evidence counts as none.
 */
export class Callers {
  readonly #judged = new WeakMap<
    TLSSocket,
    { readonly at: number; readonly verdict: Promise<JudgedEvidence | null> }
  >();

  constructor(private readonly parts: CallerParts) {}

  /** Throws PrpcError. */
  async of(request: IncomingMessage, methodName: string | undefined): Promise<WireCaller> {
    const socket = request.socket as TLSSocket;
    const address = socket.remoteAddress ?? '';
    const certificate = socket.getPeerX509Certificate();
    if (certificate !== undefined || isCostly(methodName)) this.#take(address);
    if (certificate !== undefined && !socket.authorized) {
      throw new PrpcError(`the client certificate is not accepted: ${String(socket.authorizationError)}`);
    }
    const judged = certificate === undefined ? null : await this.#judge(socket, certificate.raw);
    if (judged !== null && judged.guest === null) await this.#refuse(judged, methodName);
    return { address, judged, adminToken: adminTokenOf(request) };
  }

  #take(address: string): void {
    try {
      this.parts.limit.take(address);
    } catch (error) {
      if (!(error instanceof HostRateLimitedError)) throw error;
      throw new PrpcError('too many requests from this address: try again later', true);
    }
  }

  async #judge(socket: TLSSocket, der: Uint8Array): Promise<JudgedEvidence | null> {
    const now = this.parts.monotonicMs();
    let entry = this.#judged.get(socket);
    if (entry === undefined || now - entry.at > JUDGED_FOR_MS) {
      entry = { at: now, verdict: this.#judgeNow(der) };
      this.#judged.set(socket, entry);
    }
    try {
      return await entry.verdict;
    } catch (error) {
      this.#judged.delete(socket);
      throw error;
    }
  }

  async #judgeNow(der: Uint8Array): Promise<JudgedEvidence | null> {
    const presentation = presentedByCertificate(der);
    if (presentation.kind === 'none') return null;
    if (presentation.kind === 'malformed') throw new PrpcError(`invalid quote: ${presentation.reason}`);
    try {
      return await judgeEvidence(presentation.evidence, this.parts.appraiser);
    } catch (error) {
      if (!(error instanceof CollateralUnavailableError)) throw error;
      throw new PrpcError(`the quote cannot be verified now: ${error.message}`, true, { cause: error });
    }
  }

  /** Evidence that failed: in the log when something was to be released for it, an error in any case. */
  async #refuse(judged: JudgedEvidence, methodName: string | undefined): Promise<never> {
    const failed = judged.checks.find(({ outcome }) => outcome === 'fail');
    if (failed === undefined) throw new TypeError('evidence without a failed check has a guest');
    if (isRelease(methodName)) await this.parts.releases.refusedEvidence(methodName, judged, failed, this.parts.unsafe);
    throw new PrpcError(refusalText(failed));
  }
}

function isRelease(methodName: string | undefined): methodName is ReleaseMethod {
  return methodName === 'GetAppKey' || methodName === 'GetKmsKey' || methodName === 'SignCert';
}

/** Methods that verify, sign or ask others for whoever calls. */
function isCostly(methodName: string | undefined): boolean {
  return methodName !== undefined && methodName !== 'GetTempCaCert';
}

function adminTokenOf({ headers }: IncomingMessage): string | undefined {
  const bearer = /^Bearer (.+)$/i.exec(headers.authorization ?? '')?.[1];
  const header = headers['x-admin-token'];
  return bearer ?? (typeof header === 'string' ? header : undefined);
}
