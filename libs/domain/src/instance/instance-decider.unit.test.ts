import { describe, expect, it } from 'vitest';
import { specificationOf } from '../decider-specification.js';
import { ADDRESS_ATTEMPTS, guestAddress } from './guest-address.js';
import { decideInstance, evolveInstance, initialInstance } from './instance-decider.js';

const { given } = specificationOf({ initial: initialInstance, decide: decideInstance, evolve: evolveInstance });
const instanceId = 'b2'.repeat(20);
const data = {
  instanceId,
  appId: 'a1'.repeat(20),
  releaseId: '0f'.repeat(16),
  composeHash: 'cc'.repeat(32),
  seed: 'dd'.repeat(20),
};
const place = { instanceId, hostId: 'h1', epoch: 1, address: '127.64.0.9', reason: 'most room' };
const created = { type: 'instance.created', data } as const;
const placed = { type: 'instance.placed', data: place } as const;
const stopRequested = { type: 'instance.stop-requested', data: { instanceId } } as const;
const removeRequested = { type: 'instance.remove-requested', data: { instanceId } } as const;
const stop = { type: 'StopInstance', instanceId } as const;
const remove = { type: 'RemoveInstance', instanceId } as const;
const placeInstance = { type: 'PlaceInstance', ...place } as const;

describe('instance', () => {
  it('is created once', () => {
    given()
      .when({ type: 'CreateInstance', ...data })
      .then(created);
    given(created)
      .when({ type: 'CreateInstance', ...data })
      .then();
  });
  it('is placed in epoch 1', () => given(created).when(placeInstance).then(placed));
  it('the same placement again: already so', () => given(created, placed).when(placeInstance).then());
  it('another host in the same epoch is refused: nothing runs twice in one epoch', () => {
    given(created, placed)
      .when({ ...placeInstance, hostId: 'h2' })
      .thenRefused('epoch-stale', 'epoch');
  });
  it('moves with the next epoch only', () => {
    const next = { ...place, hostId: 'h2', epoch: 2 };
    given(created, placed)
      .when({ ...placeInstance, ...next })
      .then({ type: 'instance.placed', data: next });
    given(created, placed)
      .when({ ...placeInstance, epoch: 3 })
      .thenRefused('epoch-stale', 'epoch');
  });
  it('is not placed when it is not wanted', () => {
    given(created, stopRequested).when(placeInstance).thenRefused('instance-not-wanted');
  });
  it('is stopped and removed once', () => {
    given(created, placed).when(stop).then(stopRequested);
    given(created, placed, stopRequested).when(stop).then();
    given(created, placed, stopRequested).when(remove).then(removeRequested);
    given(created, placed, removeRequested).when(remove).then();
  });
  it('is not stopped once removed', () => {
    given(created, removeRequested).when(stop).thenRefused('instance-removed', 'instanceId');
  });
  it.each([stop, remove, placeInstance])('unknown: %j is refused', (command) => {
    given().when(command).thenRefused('instance-unknown', 'instanceId');
  });
  it('an impossible history throws', () => expect(() => evolveInstance(initialInstance, placed)).toThrow(TypeError));
});

describe('guest address', () => {
  it('is derived, inside 127.64.0.0/10, and differs per attempt', () => {
    const tried = Array.from({ length: ADDRESS_ATTEMPTS }, (_, attempt) => guestAddress(instanceId, attempt));
    expect(tried).toEqual(Array.from({ length: ADDRESS_ATTEMPTS }, (_, attempt) => guestAddress(instanceId, attempt)));
    expect(new Set(tried).size).toBe(ADDRESS_ATTEMPTS);
    for (const address of tried) {
      const [first, second] = address.split('.').map(Number);
      expect(first).toBe(127);
      expect(second).toBeGreaterThanOrEqual(64);
      expect(second).toBeLessThan(128);
    }
  });
});
