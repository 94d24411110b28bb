import { describe, expect, it } from 'vitest';
import { specificationOf } from '../decider-specification.js';
import { decideHost, evolveHost, initialHost } from './host-decider.js';

const { given } = specificationOf({ initial: initialHost, decide: decideHost, evolve: evolveHost });
const data = { hostId: 'h1', driver: 'process' as const, capacity: { vcpu: 4, memoryMiB: 8192 }, unsafe: [] };
const registered = { type: 'host.registered', data } as const;
const cordoned = { type: 'host.cordoned', data: { hostId: 'h1', reason: 'disk' } } as const;
const uncordoned = { type: 'host.uncordoned', data: { hostId: 'h1' } } as const;
const register = { type: 'RegisterHost', ...data } as const;
const cordon = { type: 'CordonHost', hostId: 'h1', reason: 'disk' } as const;
const uncordon = { type: 'UncordonHost', hostId: 'h1' } as const;

describe('host', () => {
  it('is registered once', () => given().when(register).then(registered));
  it('registered again with the same capacity: already so', () => given(registered).when(register).then());
  it('another capacity is refused', () => {
    given(registered)
      .when({ ...register, capacity: { vcpu: 5, memoryMiB: 8192 } })
      .thenRefused('host-exists', 'hostId');
  });
  it.each(['', 'H1', '1a', 'a.b', 'a>', 'x'.repeat(33)])('id %j is refused: it must be one subject token', (hostId) => {
    given()
      .when({ ...register, hostId })
      .thenRefused('host-id-invalid', 'hostId');
  });
  it('is cordoned once', () => given(registered).when(cordon).then(cordoned));
  it('cordoned again: already so', () => given(registered, cordoned).when(cordon).then());
  it('is uncordoned', () => given(registered, cordoned).when(uncordon).then(uncordoned));
  it('not cordoned: nothing to undo', () => given(registered).when(uncordon).then());
  it.each([cordon, uncordon])('unknown: %j is refused', (command) => {
    given().when(command).thenRefused('host-unknown', 'hostId');
  });
  it('an impossible history throws', () => expect(() => evolveHost(initialHost, cordoned)).toThrow(TypeError));
});
