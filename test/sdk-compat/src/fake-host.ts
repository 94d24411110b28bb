import { randomBytes, randomUUID } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Claims, Evidence } from '@vouch/domain';
import type { SignedCertificateRequest } from '@vouch/keys';
import type { Decision } from './fake-kms.js';

export interface Submission {
  readonly requestId: string;
  readonly evidence: Evidence;
  readonly claims: Claims;
}

/** How the host's KMS decides; undefined leaves the request without a decision. */
export type Decide = (submission: Submission, attempt: number) => Promise<Decision | undefined>;

/** The host API of one guest, in memory. It can be stopped and started again at the same path, like a worker. */
export class FakeHost {
  readonly steps: { readonly step: string; readonly detail: string }[] = [];
  readonly submissions: Submission[] = [];
  readonly challenges: string[] = [];
  /** Life of a challenge in milliseconds; negative ones are expired when given. */
  challengeLifeMs = 60_000;
  /** How many answers to /attest fail after the evidence was taken. */
  attestAnswersToLose = 0;
  healthyReports: number[][] = [];
  decide: Decide = async () => undefined;
  certify: (request: SignedCertificateRequest) => string[] | undefined = () => undefined;
  readonly #decisions = new Map<string, Decision>();
  readonly #changed = new EventEmitter();
  #server: Server | undefined;

  constructor(readonly socketPath: string) {
    this.#changed.setMaxListeners(0);
  }

  async start(): Promise<void> {
    await rm(this.socketPath, { force: true });
    this.#server = createServer((request, response) => {
      this.#answer(request).then(
        ({ status, body }) => {
          response.writeHead(status, { 'content-type': 'application/json' });
          response.end(status === 204 ? undefined : JSON.stringify(body));
        },
        (error: unknown) => {
          response
            .writeHead(500)
            .end(JSON.stringify({ error: { code: 'fake', message: String(error), retryable: true } }));
        },
      );
    });
    this.#server.listen(this.socketPath);
    await once(this.#server, 'listening');
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
    await rm(this.socketPath, { force: true });
  }

  /** Publishes a decision for a request that had none. */
  decideLater(requestId: string, decision: Decision): void {
    this.#decisions.set(requestId, decision);
  }

  /** Waits until something happened that makes `condition` true. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await once(this.#changed, 'change');
  }

  async untilStep(step: string): Promise<string> {
    const find = () => this.steps.find((entry) => entry.step === step);
    await this.until(() => find() !== undefined);
    return find()?.detail ?? '';
  }

  async #answer(request: IncomingMessage): Promise<{ status: number; body?: unknown }> {
    const path = (request.url ?? '').split('?')[0] ?? '';
    const body = (await readJson(request)) as Record<string, unknown>;
    try {
      if (path.startsWith('/grant/')) return await this.#grant(path.slice('/grant/'.length));
      return await this.#post(path, body);
    } finally {
      this.#changed.emit('change');
    }
  }

  async #post(path: string, body: Record<string, unknown>): Promise<{ status: number; body?: unknown }> {
    switch (path) {
      case '/challenge': {
        const challenge = randomBytes(32).toString('hex');
        this.challenges.push(challenge);
        return {
          status: 200,
          body: { challenge, expiresAt: new Date(Date.now() + this.challengeLifeMs).toISOString() },
        };
      }
      case '/attest': {
        const submitted = body as { evidence: Evidence; claims: Claims };
        const known = this.submissions.find(({ claims }) => claims.challenge === submitted.claims.challenge);
        const submission = known ?? { requestId: randomUUID(), ...submitted };
        const { requestId } = submission;
        if (known === undefined) this.submissions.push(submission);
        this.attestAnswersToLose -= 1;
        if (this.attestAnswersToLose >= 0) throw new Error('the answer is lost');
        const decision = await this.decide(submission, this.submissions.length);
        if (decision !== undefined) this.#decisions.set(requestId, decision);
        return { status: 200, body: { requestId } };
      }
      case '/progress':
        this.steps.push(body as { step: string; detail: string });
        return { status: 200, body: {} };
      case '/healthy':
        this.healthyReports.push(body.ports as number[]);
        return { status: 200, body: {} };
      case '/certificate': {
        const chain = this.certify(body.request as SignedCertificateRequest);
        if (chain !== undefined) return { status: 200, body: { chain } };
        return { status: 403, body: { error: { code: 'request-refused', message: 'no', retryable: false } } };
      }
      default:
        return { status: 404, body: { error: { code: 'not-found', message: path, retryable: false } } };
    }
  }

  async #grant(requestId: string): Promise<{ status: number; body?: unknown }> {
    const decision = this.#decisions.get(requestId);
    if (decision !== undefined) return { status: 200, body: decision };
    await sleep(50);
    return { status: 204 };
  }
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  let text = '';
  for await (const chunk of request) text += chunk;
  return text === '' ? {} : JSON.parse(text);
}
