import { setTimeout as sleep } from 'node:timers/promises';
import type { ApiClient } from '../api-client.js';
import { CliFailure, exitCodes } from '../failure.js';
import { note } from '../output.js';
import type { OperationRow } from './fleet-types.js';

const POLL_MS = 150;

/**
 * Waits for an operation, printing each step with its time since the request. Answers the finished operation; throws a
 * CliFailure with exit code 5 when policy denied it, 4 when it failed, 6 when the time ran out (it goes on running).
 */
export async function waitForOperation(
  api: ApiClient,
  operationId: string,
  minSeq: number,
  timeoutMs: number,
): Promise<OperationRow> {
  const deadline = performance.now() + timeoutMs;
  let printed = 0;
  let waitingFor = '';
  for (;;) {
    const operation = await api.get<OperationRow>(`/v1/operations/${operationId}`, { minSeq });
    for (const step of operation.steps.slice(printed)) printStep(operation, step);
    printed = operation.steps.length;
    if (operation.state === 'succeeded') return operation;
    if (operation.state === 'failed') throw failureOf(operation);
    if (operation.state === 'waiting' && operation.reason !== null && operation.reason !== waitingFor) {
      waitingFor = operation.reason;
      note(`  waiting: ${waitingFor}`);
    }
    if (performance.now() > deadline) {
      throw new CliFailure(
        exitCodes.timeout,
        `operation ${operationId} is still ${operation.state} after ${timeoutMs / 1000} s`,
        `it goes on; see: vouch get operation ${operationId}`,
      );
    }
    await sleep(POLL_MS);
  }
}

function printStep(operation: OperationRow, step: OperationRow['steps'][number]): void {
  const sinceMs = Date.parse(step.time) - Date.parse(operation.requestedAt);
  note(`  ${(sinceMs / 1000).toFixed(2).padStart(7)} s  ${step.type.padEnd(24)} ${step.summary}`);
}

function failureOf(operation: OperationRow): CliFailure {
  const denied = operation.code === 'grant-denied';
  return new CliFailure(
    denied ? exitCodes.denied : exitCodes.conflict,
    `${operation.command} failed: ${operation.reason ?? 'no reason given'} (${operation.code ?? 'unknown'})`,
    denied
      ? `see every check: vouch get grant ${String(operation.target)}`
      : `see: vouch get operation ${operation.operationId}`,
  );
}

/** Parses `90`, `90s`, `5m` into milliseconds. */
export function duration(value: string): number {
  const match = /^(\d+)(ms|s|m)?$/.exec(value);
  if (match === null)
    throw new CliFailure(exitCodes.misuse, `${value} is not a duration`, 'write for example 90s or 5m');
  return Number(match[1]) * (match[2] === 'ms' ? 1 : match[2] === 'm' ? 60_000 : 1_000);
}
