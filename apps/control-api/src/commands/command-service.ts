import { createHash, randomBytes } from 'node:crypto';
import {
  type Command,
  canonicalJson,
  decideCommand,
  type EventData,
  type OperationState,
  operationIdOf,
  targetOf,
} from '@vouch/domain';
import { type Clock, deterministicEventId, type EventWriter } from '@vouch/platform';
import type { Principal } from '../auth/api-tokens.js';
import type { FleetFeed } from '../fleet/fleet-feed.js';
import { ProblemError, problemOfRefusal } from '../problems/problem-error.js';

/** What an HTTP request asks for. */
export interface CommandRequest {
  readonly principal: Principal;
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
  readonly idempotencyKey: string | undefined;
  /** Milliseconds to wait for the operation's end before answering (Prefer: wait). */
  readonly waitMs: number;
  /** Makes the command; what it creates gets ids derived from the operation's. */
  readonly command: (operationId: string) => Command;
}

export type KnownOperation = Exclude<OperationState, { status: 'absent' }>;

export interface Accepted {
  readonly operation: KnownOperation;
  /** Position of the operation's last event: reads with this minSeq show what it did. */
  readonly seq: number;
  /** True when the Idempotency-Key was seen before with the same request. */
  readonly replayed: boolean;
  readonly command: Command;
}

/** Commands that end within a few appends: the answer waits for them, so that the next request can build on them. */
const SHORT: ReadonlySet<Command['type']> = new Set([
  'RegisterApp',
  'CreateRelease',
  'RegisterHost',
  'CordonHost',
  'UncordonHost',
]);
const SHORT_WAIT_MS = 5_000;
const ECHO_LIMIT_MS = 5_000;
/** An unanswered append is repeated this long, ms; then the client is told to repeat the request. */
const APPEND_DEADLINE_MS = 5_000;

interface ServiceParts {
  readonly feed: FleetFeed;
  readonly writer: Pick<EventWriter, 'write'>;
  readonly clock: Clock;
  readonly operationDeadlineMs: number;
  /** Called with each accepted operation; must not throw. */
  readonly onAccepted: (operationId: string, deadline: Date) => void;
}

/**
 * Takes commands in: decides them on the present fleet, appends `operation.requested` (that append is the
 * acknowledgement) and leaves the rest to the runner. Refusals and unavailability end as ProblemError with nothing
 * written.
 */
export class CommandService {
  constructor(private readonly parts: ServiceParts) {}

  async submit(request: CommandRequest): Promise<Accepted> {
    this.#assertReady();
    const { principal, idempotencyKey } = request;
    const operationId =
      idempotencyKey === undefined ? randomBytes(16).toString('hex') : operationIdOf(principal.name, idempotencyKey);
    const requestHash = hashOf(request);
    const command = request.command(operationId);
    const { view } = this.parts.feed;
    const replayed = knownOperation(view.operation(operationId), requestHash);
    if (replayed !== undefined) return await this.#answer(replayed, command, request.waitMs, true);
    const decision = decideCommand(command, view);
    if (!decision.ok) throw problemOfRefusal(decision.refusal);
    const stored = await this.#request(operationId, command, requestHash, principal);
    if (!(await this.parts.feed.waitFor(stored.seq, ECHO_LIMIT_MS))) {
      throw unavailable('event-store-unavailable', `operation ${operationId} is accepted, but the log does not answer`);
    }
    const operation = knownOperation(view.operation(operationId), requestHash);
    if (operation === undefined) throw new TypeError(`operation ${operationId} is not in the view at ${stored.seq}`);
    const waitMs = SHORT.has(command.type) ? Math.max(request.waitMs, SHORT_WAIT_MS) : request.waitMs;
    return await this.#answer(operation, command, waitMs, !stored.isNew);
  }

  async #request(
    operationId: string,
    command: Command,
    requestHash: string,
    principal: Principal,
  ): Promise<{ seq: number; isNew: boolean }> {
    const { writer, clock, operationDeadlineMs, onAccepted } = this.parts;
    const { type, ...input } = command;
    const deadline = new Date(clock.now().getTime() + operationDeadlineMs);
    const data: EventData<'operation.requested'> = {
      operationId,
      command: type,
      input,
      principal: principal.name,
      requestHash,
      target: targetOf(command),
      deadline: deadline.toISOString(),
    };
    const outcome = await writer.write('operation.requested', data, {
      actor: principal.name,
      corr: operationId,
      expected: 0,
      deadlineMs: APPEND_DEADLINE_MS,
      // Two requests with one key race for one position; with the hash in the id, only the same request is a duplicate.
      id: deterministicEventId('operation-requested', operationId, requestHash),
    });
    // A conflict means that the key was used at the same moment: the view will say with which request.
    if (!outcome.ok) return { seq: outcome.lastSeq, isNew: false };
    onAccepted(operationId, deadline);
    return { seq: outcome.seq, isNew: !outcome.duplicate };
  }

  async #answer(operation: KnownOperation, command: Command, waitMs: number, replayed: boolean): Promise<Accepted> {
    const { feed } = this.parts;
    const { operationId } = operation;
    const latest = (): KnownOperation => {
      const now = feed.view.operation(operationId);
      return now.status === 'absent' ? operation : now;
    };
    if (waitMs > 0) await feed.waitUntil(() => isFinished(latest()), waitMs);
    const seq = feed.view.lastSeqFor({ type: 'operation.waiting', data: { operationId, reason: '-' } });
    return { operation: latest(), seq, replayed, command };
  }

  #assertReady(): void {
    const { state } = this.parts.feed;
    if (state.state === 'broken') {
      throw new ProblemError({
        status: 503,
        code: 'log-damaged',
        detail: `commands are refused: the log cannot be trusted after event ${state.position} (${state.error.message})`,
      });
    }
    if (state.state === 'catching-up') {
      throw unavailable('not-caught-up', 'the control plane is still reading the log; try again in a moment');
    }
  }
}

function isFinished(operation: OperationState): boolean {
  return operation.status === 'succeeded' || operation.status === 'failed';
}

/** SHA-256 over method, path and the canonical body: what a replayed Idempotency-Key must repeat. */
function hashOf({ method, path, body }: CommandRequest): string {
  return createHash('sha256')
    .update(canonicalJson([method, path, body ?? null]))
    .digest('hex');
}

/** The operation if it exists. Throws ProblemError 409 when it belongs to another request. */
function knownOperation(state: OperationState, requestHash: string): KnownOperation | undefined {
  if (state.status === 'absent') return undefined;
  if (state.requestHash === requestHash) return state;
  throw new ProblemError({
    status: 409,
    code: 'idempotency-key-reused',
    detail: `this Idempotency-Key already names operation ${state.operationId} (${state.command}) with another request`,
    errors: [{ field: 'Idempotency-Key', message: 'was used with another method, path or body' }],
  });
}

function unavailable(code: string, detail: string): ProblemError {
  return new ProblemError({ status: 503, code, detail, retryable: true });
}
