import type { NatsConnection } from '@nats-io/transport-node';
import {
  type Claims,
  canonicalJson,
  claimsSchema,
  EventRejectedError,
  type Evidence,
  evidenceSchema,
} from '@vouch/domain';
import {
  asError,
  BusRequestError,
  busRequest,
  deterministicEventId,
  type EventWriter,
  saysRetryable,
} from '@vouch/platform';
import { z } from 'zod';
import type { GuestJournal } from '../journal/guest-journal.js';
import type { SealedMailbox } from '../sealed/sealed-mailbox.js';
import { HostApiError } from './host-api-error.js';

const KMS_TIMEOUT_MS = 12_000;
const WRITE_DEADLINE_MS = 12_000;
const MAX_GRANT_WAIT_MS = 25_000;

const challengeReply = z.object({ challenge: z.string().regex(/^[0-9a-f]{64}$/), expiresAt: z.iso.datetime() });
const certificateReply = z.object({ chain: z.array(z.string().max(16_384)).min(1).max(8) });
const attestBody = z.strictObject({ evidence: evidenceSchema, claims: claimsSchema });
const progressBody = z.strictObject({ step: z.string().min(1).max(64), detail: z.string().max(2000) });
const healthyBody = z.strictObject({ ports: z.array(z.number().int().min(1).max(65535)).max(32) });
const certificateBody = z.strictObject({
  request: z.strictObject({ statement: z.string().max(16_384), signature: z.base64().max(256) }),
});

/** The launch a request speaks for. */
export type LiveGuest = GuestJournal & { readonly launch: NonNullable<GuestJournal['launch']> };

/**
 * What a guest may ask of its host, relayed to the bus under the host's own name. The host adds nothing a guest could not
 * say and believes nothing of it: it only keeps one guest from speaking for another, and repeats from becoming facts twice.
 */
export class GuestRelay {
  constructor(
    private readonly hostId: string,
    private readonly connection: NatsConnection,
    private readonly events: EventWriter,
    private readonly mailbox: SealedMailbox,
  ) {}

  async challenge({ spec }: LiveGuest): Promise<unknown> {
    const body = { instanceId: spec.instanceId, epoch: spec.epoch };
    return read(challengeReply, await this.#ask(`kms.challenge.${this.hostId}`, body));
  }

  async certificate(_guest: LiveGuest, body: unknown): Promise<unknown> {
    const { request } = parse(certificateBody, body);
    return read(certificateReply, await this.#ask(`kms.certificate.${this.hostId}`, { request }));
  }

  /** The request id follows from what was submitted: the same evidence handed over again is the same request. */
  async attest({ spec }: LiveGuest, body: unknown): Promise<{ requestId: string }> {
    const { evidence, claims } = parse(attestBody, body);
    this.#assertOwnClaims(spec, claims);
    const { instanceId, epoch } = spec;
    const requestId = deterministicEventId(
      'attestation',
      this.hostId,
      instanceId,
      epoch,
      canonicalJson({ claims, evidence }),
    );
    await this.#write(() => this.#submit(requestId, spec, evidence, claims));
    return { requestId };
  }

  async grant(
    { spec }: LiveGuest,
    requestId: string,
    waitMs: number,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    if (!z.uuid().safeParse(requestId).success) {
      throw new HostApiError(400, 'bad-request', 'the request id is not a UUID', false);
    }
    return await this.mailbox.wait(spec.instanceId, requestId, Math.min(waitMs, MAX_GRANT_WAIT_MS), signal);
  }

  async progress({ spec, launch }: LiveGuest, body: unknown): Promise<void> {
    const { step, detail } = parse(progressBody, body);
    const { instanceId, epoch } = spec;
    const id = deterministicEventId('progress', this.hostId, instanceId, epoch, launch.id, step, detail);
    const data = { hostId: this.hostId, instanceId, epoch, step, detail };
    await this.#write(() => this.events.write('vm.boot-progressed', data, this.#options(id)));
  }

  async healthy({ spec, launch }: LiveGuest, body: unknown): Promise<void> {
    const { ports } = parse(healthyBody, body);
    const stranger = ports.find((port) => spec.ports.length > 0 && !spec.ports.includes(port));
    if (stranger !== undefined) {
      throw new HostApiError(400, 'port-not-released', `port ${stranger} is not one of the release's ports`, false);
    }
    const { instanceId, epoch } = spec;
    const sorted = [...new Set(ports)].sort((a, b) => a - b);
    const id = deterministicEventId('healthy', this.hostId, instanceId, epoch, launch.id, sorted.join());
    const data = { hostId: this.hostId, instanceId, epoch, ports: sorted };
    await this.#write(() => this.events.write('vm.app-healthy', data, this.#options(id)));
  }

  #submit(requestId: string, spec: LiveGuest['spec'], evidence: Evidence, claims: Claims) {
    const { instanceId, epoch } = spec;
    const data = { hostId: this.hostId, instanceId, epoch, evidence, claims };
    return this.events.write('attestation.submitted', data, this.#options(requestId));
  }

  #assertOwnClaims(spec: LiveGuest['spec'], claims: Claims): void {
    const own = { hostId: this.hostId, appId: spec.appId, instanceId: spec.instanceId, epoch: spec.epoch };
    for (const field of ['hostId', 'appId', 'instanceId', 'epoch'] as const) {
      if (claims[field] === own[field]) continue;
      throw new HostApiError(403, 'claims-of-another', `claims.${field} must be ${own[field]}`, false);
    }
  }

  #options(id: string) {
    return { id, actor: `host-worker/${this.hostId}`, deadlineMs: WRITE_DEADLINE_MS };
  }

  async #write(write: () => Promise<unknown>): Promise<void> {
    try {
      await write();
    } catch (error) {
      if (error instanceof EventRejectedError) throw new HostApiError(413, error.code, error.message, false);
      if (saysRetryable(error) === true) throw new HostApiError(503, 'log-unavailable', asError(error).message, true);
      throw error;
    }
  }

  async #ask(subject: string, body: unknown): Promise<unknown> {
    try {
      return await busRequest(this.connection, subject, body, { timeoutMs: KMS_TIMEOUT_MS });
    } catch (error) {
      if (!(error instanceof BusRequestError)) throw error;
      throw new HostApiError(error.retryable ? 503 : 403, error.code, error.message, error.retryable);
    }
  }
}

function parse<S extends z.ZodType>(schema: S, body: unknown): z.infer<S> {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const message = z.prettifyError(parsed.error).slice(0, 1000);
  throw new HostApiError(400, 'bad-request', message, false);
}

function read<S extends z.ZodType>(schema: S, reply: unknown): z.infer<S> {
  const parsed = schema.safeParse(reply);
  if (parsed.success) return parsed.data;
  throw new HostApiError(502, 'bad-reply', 'the KMS answered in a form this host does not know', true);
}
