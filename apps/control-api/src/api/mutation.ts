import { Injectable } from '@nestjs/common';
import type { Command, CommandOf } from '@vouch/domain';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { principalOf } from '../auth/request-gate.js';
import { CommandService, type KnownOperation } from '../commands/command-service.js';
import { ProblemError } from '../problems/problem-error.js';

const LONGEST_WAIT_SECONDS = 60;

/** The HTTP side of a command: its headers in, its status and headers out. */
@Injectable()
export class Mutation {
  constructor(private readonly commands: CommandService) {}

  /**
   * Submits the command that `make` builds and answers 202, or 200 for a replayed Idempotency-Key. `ids` are the
   * resources it concerns, read off the command.
   */
  async run<N extends Command['type']>(
    request: FastifyRequest,
    reply: FastifyReply,
    make: (operationId: string) => CommandOf<N>,
    ids: (command: CommandOf<N>) => Readonly<Record<string, string>>,
  ): Promise<object> {
    const waitSeconds = preferredWait(request.headers.prefer);
    const { operation, seq, replayed, command } = await this.commands.submit({
      principal: principalOf(request),
      method: request.method,
      path: request.url.split('?')[0] ?? request.url,
      body: request.body,
      idempotencyKey: idempotencyKeyOf(request.headers['idempotency-key']),
      waitMs: (waitSeconds ?? 0) * 1000,
      command: make,
    });
    reply.code(replayed ? 200 : 202).header('location', `/v1/operations/${operation.operationId}`);
    if (waitSeconds !== undefined) reply.header('preference-applied', `wait=${waitSeconds}`);
    return { operation: summaryOf(operation), seq, ...ids(command as CommandOf<N>) };
  }
}

function summaryOf(operation: KnownOperation): object {
  const { operationId: id, command, target, status: state, code, reason, result, deadline } = operation;
  return { id, command, target, state, code, reason, result, deadline };
}

function idempotencyKeyOf(header: string | string[] | undefined): string | undefined {
  if (header === undefined) return undefined;
  if (typeof header === 'string' && /^[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?$/.test(header)) return header;
  throw headerProblem('Idempotency-Key', 'must be one value of 1-255 printable ASCII characters');
}

/** Seconds of `Prefer: wait=N` (RFC 7240); undefined when it is not there. Other preferences are ignored, as they may be. */
function preferredWait(header: string | string[] | undefined): number | undefined {
  if (header === undefined) return undefined;
  const preferences = (Array.isArray(header) ? header.join(',') : header).split(',').map((part) => part.trim());
  const wait = preferences.find((preference) => /^wait\s*=/i.test(preference));
  if (wait === undefined) return undefined;
  const seconds = Number(/^wait\s*=\s*"?(\d{1,4})"?$/i.exec(wait)?.[1] ?? Number.NaN);
  if (seconds >= 0 && seconds <= LONGEST_WAIT_SECONDS) return seconds;
  throw headerProblem('Prefer', `wait must be a number of seconds from 0 to ${LONGEST_WAIT_SECONDS}`);
}

function headerProblem(field: string, message: string): ProblemError {
  return new ProblemError({
    status: 400,
    code: 'request-invalid',
    detail: `${field} ${message}`,
    errors: [{ field, message }],
  });
}
