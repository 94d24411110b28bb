import { describe, expect, it } from 'vitest';
import { specificationOf } from '../decider-specification.js';
import { composeHashOf } from '../ids.js';
import { decideRelease, evolveRelease, initialRelease } from './release-decider.js';

const { given } = specificationOf({ initial: initialRelease, decide: decideRelease, evolve: evolveRelease });
const appCompose = '{ "manifest_version": 2, "name": "hello", "runner": "bash", "bash_script": "true" }\n';
const create = {
  type: 'CreateRelease',
  releaseId: '0f'.repeat(16),
  appId: 'a1'.repeat(20),
  appCompose,
  resources: { vcpu: 1, memoryMiB: 512, diskGiB: 1 },
  ports: [8080, 80, 8080],
  encryptedEnv: '',
} as const;
const { type: _, ...fields } = create;
const composeHash = composeHashOf(new TextEncoder().encode(appCompose));
const created = {
  type: 'release.created',
  data: { ...fields, composeHash, name: 'hello', ports: [80, 8080] },
} as const;
const mutable = { ...created, data: { ...created.data, ports: [80, 8080] } };

describe('release', () => {
  it('keeps the exact text and its hash; ports are a sorted set', () => {
    given().when(create).then(mutable);
  });
  it('the same release again is already so', () => given(mutable).when(create).then());
  it('takes the ports of the compose file when the request names none', () => {
    const file = 'services: {web: {image: x, ports: ["8443:443"]}}';
    const text = JSON.stringify({
      manifest_version: 2,
      name: 'w',
      runner: 'docker-compose',
      docker_compose_file: file,
    });
    const decision = decideRelease({ ...create, appCompose: text, ports: [] }, initialRelease);
    expect(decision.ok && decision.events[0]?.data.ports).toEqual([8443]);
  });
  it.each([
    [{ appCompose: '{' }, 'compose-malformed', 'appCompose'],
    [{ appCompose: ' '.repeat(200_000) }, 'compose-too-large', 'appCompose'],
    [{ appCompose: '{"runner":"bash"}' }, 'compose-invalid', 'appCompose.manifest_version'],
    [{ resources: { vcpu: 0, memoryMiB: 512, diskGiB: 1 } }, 'release-invalid', 'resources.vcpu'],
    [{ ports: [70_000] }, 'release-invalid', 'ports.0'],
    [{ ports: Array.from({ length: 33 }, (_, n) => n + 1) }, 'release-invalid', 'ports'],
    [{ encryptedEnv: 'ABC' }, 'release-invalid', 'encryptedEnv'],
    [{ encryptedEnv: 'aa'.repeat(40_000) }, 'release-invalid', 'encryptedEnv'],
  ])('%# is refused with %s at %s', (change, code, field) => {
    given()
      .when({ ...create, ...change })
      .thenRefused(code, field);
  });
  it('a text whose event would not fit the log is refused, not truncated', () => {
    const pad = '\\"'.repeat(50_000);
    const text = `{"manifest_version":2,"name":"x","runner":"bash","bash_script":"true","pad":"${pad}"}`;
    given()
      .when({ ...create, appCompose: text, encryptedEnv: 'aa'.repeat(32_000) })
      .thenRefused('release-too-large', 'appCompose');
  });
});
