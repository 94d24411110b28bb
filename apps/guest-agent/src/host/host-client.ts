import type { Claims, Evidence } from '@vouch/domain';
import type { SignedCertificateRequest } from '@vouch/keys';
import { z } from 'zod';
import { UnixRequestError, unixJson } from './unix-json.js';

const TIMEOUT_MS = 20_000;
/** How long the host may hold a grant request open, and how much longer the agent waits for its answer. */
const GRANT_WAIT_MS = 25_000;
const GRANT_SLACK_MS = 10_000;

const challengeSchema = z.looseObject({
  challenge: z.string().regex(/^[0-9a-f]{64}$/),
  expiresAt: z.iso.datetime(),
});
const attestSchema = z.looseObject({ requestId: z.uuid() });
const certificateSchema = z.looseObject({ chain: z.array(z.string()).min(1).max(8) });

export interface Challenge {
  /** 32 bytes, hex. */
  readonly challenge: string;
  readonly expiresAt: Date;
}

/** The host API as the guest calls it (HTTP JSON over the host's unix socket). All calls throw UnixRequestError. */
export class HostClient {
  constructor(
    private readonly socketPath: string,
    private readonly signal: AbortSignal,
  ) {}

  async challenge(): Promise<Challenge> {
    const answer = read(challengeSchema, await this.#post('/challenge', {}));
    return { challenge: answer.challenge, expiresAt: new Date(answer.expiresAt) };
  }

  /** Hands evidence over; the answer names the request whose decision {@link grant} waits for. */
  async attest(evidence: Evidence, claims: Claims): Promise<string> {
    return read(attestSchema, await this.#post('/attest', { evidence, claims })).requestId;
  }

  /** The sealed decision, unverified, or undefined when there is none yet. */
  async grant(requestId: string): Promise<unknown> {
    return await unixJson({
      socketPath: this.socketPath,
      method: 'GET',
      path: `/grant/${requestId}?waitMs=${GRANT_WAIT_MS}`,
      timeoutMs: GRANT_WAIT_MS + GRANT_SLACK_MS,
      signal: this.signal,
    });
  }

  /** Certificate chain, PEM, leaf first, unverified. */
  async certificate(request: SignedCertificateRequest): Promise<readonly string[]> {
    return read(certificateSchema, await this.#post('/certificate', { request })).chain;
  }

  async progress(step: string, detail: string, signal: AbortSignal): Promise<void> {
    await this.#post('/progress', { step, detail }, signal);
  }

  async healthy(ports: readonly number[]): Promise<void> {
    await this.#post('/healthy', { ports });
  }

  async #post(path: string, body: unknown, signal = this.signal): Promise<unknown> {
    return await unixJson({ socketPath: this.socketPath, method: 'POST', path, body, timeoutMs: TIMEOUT_MS, signal });
  }
}

function read<S extends z.ZodType>(schema: S, answer: unknown): z.infer<S> {
  const parsed = schema.safeParse(answer);
  if (parsed.success) return parsed.data;
  throw new UnixRequestError('malformed', `host API: ${z.prettifyError(parsed.error)}`, false);
}
