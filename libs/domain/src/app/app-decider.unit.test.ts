import { describe, it } from 'vitest';
import { specificationOf } from '../decider-specification.js';
import { decideApp, evolveApp, initialApp } from './app-decider.js';

const { given } = specificationOf({ initial: initialApp, decide: decideApp, evolve: evolveApp });
const appId = 'a1'.repeat(20);
const registered = { type: 'app.registered', data: { appId, name: 'shop', owner: 'ann' } } as const;
const register = { type: 'RegisterApp', appId, name: 'shop', owner: 'ann' } as const;

describe('app', () => {
  it('is registered once', () => given().when(register).then(registered));
  it('registered again by the same owner under the same name: already so', () =>
    given(registered).when(register).then());
  it('another name under the same id is refused', () => {
    given(registered)
      .when({ ...register, name: 'bank' })
      .thenRefused('app-exists', 'appId');
  });
  it('another owner under the same id is refused', () => {
    given(registered)
      .when({ ...register, owner: 'bob' })
      .thenRefused('app-exists', 'appId');
  });
  it.each([`0x${'a1'.repeat(20)}`, 'A1'.repeat(20), 'a1'.repeat(19), ''])('id %j is refused', (bad) => {
    given()
      .when({ ...register, appId: bad })
      .thenRefused('app-id-invalid', 'appId');
  });
  it.each(['', '   ', 'x'.repeat(65)])('name %j is refused', (name) => {
    given()
      .when({ ...register, name })
      .thenRefused('app-name-invalid', 'name');
  });
});
