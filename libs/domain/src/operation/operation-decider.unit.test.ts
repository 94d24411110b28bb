import { describe, expect, it } from 'vitest';
import { specificationOf } from '../decider-specification.js';
import { decideOperation, evolveOperation, initialOperation } from './operation-decider.js';

const { given } = specificationOf({ initial: initialOperation, decide: decideOperation, evolve: evolveOperation });
const operationId = '11'.repeat(16);
const data = {
  operationId,
  command: 'StopInstance' as const,
  input: { instanceId: 'b2'.repeat(20) },
  principal: 'ann',
  requestHash: 'ee'.repeat(32),
  target: 'b2'.repeat(20),
  deadline: '2026-01-01T00:05:00.000Z',
};
const requested = { type: 'operation.requested', data } as const;
const request = { type: 'RequestOperation', ...data } as const;
const waiting = { type: 'operation.waiting', data: { operationId, reason: 'no room' } } as const;
const succeeded = { type: 'operation.succeeded', data: { operationId, result: { a: 1 } } } as const;
const failed = { type: 'operation.failed', data: { operationId, code: 'x', reason: 'y' } } as const;
const wait = { type: 'WaitOperation', operationId, reason: 'no room' } as const;
const succeed = { type: 'SucceedOperation', operationId, result: { a: 1 } } as const;
const fail = { type: 'FailOperation', operationId, code: 'x', reason: 'y' } as const;

describe('operation', () => {
  it('is requested once per idempotency key and request', () => {
    given().when(request).then(requested);
    given(requested).when(request).then();
    given(requested, succeeded).when(request).then();
  });
  it('another request under the same key is refused', () => {
    given(requested)
      .when({ ...request, requestHash: 'ff'.repeat(32) })
      .thenRefused('idempotency-key-reused');
  });
  it('waits with a reason, said once', () => {
    given(requested).when(wait).then(waiting);
    given(requested, waiting).when(wait).then();
  });
  it('ends once', () => {
    given(requested, waiting).when(succeed).then(succeeded);
    given(requested).when(fail).then(failed);
  });
  it.each([wait, succeed, fail])('after its end %j is refused', (command) => {
    given(requested, succeeded).when(command).thenRefused('operation-finished');
    given(requested, failed).when(command).thenRefused('operation-finished');
  });
  it.each([wait, succeed, fail])('unknown: %j is refused', (command) => {
    given().when(command).thenRefused('operation-unknown');
  });
  it('an impossible history throws', () => {
    expect(() => evolveOperation(initialOperation, succeeded)).toThrow(TypeError);
  });
});
