import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { MAX_APP_COMPOSE_BYTES, readAppCompose } from './app-compose.js';

const bash = { manifest_version: 2, name: 'hello', runner: 'bash', bash_script: 'echo hi' };
const yaml = 'services:\n  web:\n    image: nginx@sha256:aa\n    ports: ["8080:80", "53:53/udp", "9000-9001:1-2"]\n';
const docker = { manifest_version: 2, name: 'hello', runner: 'docker-compose', docker_compose_file: yaml };

function errorsOf(value: unknown): string[] {
  const result = readAppCompose(typeof value === 'string' ? value : JSON.stringify(value));
  if (result.ok) throw new Error('expected a refusal');
  return result.errors.map((error) => `${error.field}: ${error.message}`);
}

describe('app-compose', () => {
  it('is read for each runner, with the published TCP ports', () => {
    expect(readAppCompose(JSON.stringify(bash))).toMatchObject({ ok: true, compose: { runner: 'bash', ports: [] } });
    expect(readAppCompose(JSON.stringify(docker))).toMatchObject({ ok: true, compose: { ports: [8080, 9000, 9001] } });
    const listed = { ...bash, port_policy: { ports: [{ port: 8443 }, { port: 8080 }, { port: 8080 }] } };
    expect(readAppCompose(JSON.stringify(listed))).toMatchObject({ ok: true, compose: { ports: [8080, 8443] } });
  });

  it('is hashed as it is: white space counts', () => {
    const text = `${JSON.stringify(bash, null, 2)}\n`;
    const result = readAppCompose(text);
    expect(result.ok && result.compose.composeHash).toBe(createHash('sha256').update(text).digest('hex'));
  });

  it.each([1, 2, '1', '2', '3'])('manifest_version %j is read', (manifest_version) => {
    expect(readAppCompose(JSON.stringify({ ...bash, manifest_version })).ok).toBe(true);
  });
  it.each([0, 3, 4, '4', '03', 1.5, null])('manifest_version %j is refused', (manifest_version) => {
    expect(errorsOf({ ...bash, manifest_version })).toEqual([
      'appCompose.manifest_version: must be 1 or 2, or the string "3"',
    ]);
  });

  it('unknown top-level keys pass, unknown requirements do not', () => {
    expect(readAppCompose(JSON.stringify({ ...bash, mine: { a: 1 } })).ok).toBe(true);
    expect(errorsOf({ ...bash, manifest_version: '3', requirements: { gpus: 8 } })[0]).toContain(
      'appCompose.requirements',
    );
  });

  it.each([
    [{ ...bash, name: '' }, 'appCompose.name'],
    [{ ...bash, name: 'x'.repeat(65) }, 'appCompose.name'],
    [{ ...bash, runner: 'podman' }, 'appCompose.runner'],
    [{ ...bash, runner: 'nerdctl-compose', docker_compose_file: yaml }, 'appCompose.runner'],
    [{ ...bash, bash_script: ' ' }, 'appCompose.bash_script'],
    [{ ...docker, docker_compose_file: undefined }, 'appCompose.docker_compose_file'],
    [{ ...docker, snapshotter: 'stargz' }, 'appCompose.snapshotter'],
    [{ ...bash, key_provider: 'tpm' }, 'appCompose.key_provider'],
    [{ ...bash, local_key_provider_enabled: true }, 'appCompose.local_key_provider_enabled'],
    [{ ...bash, key_provider: 'me' }, 'appCompose.key_provider'],
    [{ ...bash, key_provider_id: 'xyz' }, 'appCompose.key_provider_id'],
    [{ ...bash, requirements: {} }, 'appCompose.requirements'],
    [{ ...bash, init_script: ['a', 'b'] }, 'appCompose.init_script'],
    [{ ...bash, allowed_envs: ['A B'] }, 'appCompose.allowed_envs.0'],
    [{ ...bash, port_policy: { ports: [{ port: 0 }] } }, 'appCompose.port_policy.ports.0.port'],
    [[], 'appCompose'],
  ])('%j is refused at %s', (value, field) => {
    expect(errorsOf(value).map((error) => error.split(':')[0])).toContain(field);
  });

  it('every wrong field is named at once', () => {
    expect(errorsOf({ runner: 'bash' })).toHaveLength(2);
  });

  it.each(['', '{', '{"a":1}}', 'null x'])('%j is not JSON', (text) => {
    expect(errorsOf(text)[0]).toContain('is not JSON');
  });

  it('a key twice is refused with its path, however it is written', () => {
    expect(errorsOf('{"name":"a","x":[{"k":1},{"k":1,"\\u006b":2}]}')).toEqual([
      'appCompose: has the key "x.1.k" twice',
    ]);
    expect(readAppCompose(JSON.stringify({ ...bash, x: [{ k: 1 }, { k: '{"k":1,"k":2}' }] })).ok).toBe(true);
  });

  it('128 KiB of UTF-8 pass, one byte more does not', () => {
    const pad = (bytes: number) => {
      const empty = JSON.stringify({ ...bash, pad: '' }).length;
      return JSON.stringify({ ...bash, pad: `é${'x'.repeat(bytes - empty - 2)}` });
    };
    expect(readAppCompose(pad(MAX_APP_COMPOSE_BYTES)).ok).toBe(true);
    expect(readAppCompose(pad(MAX_APP_COMPOSE_BYTES + 1))).toMatchObject({ ok: false, code: 'compose-too-large' });
  });

  it('half a surrogate pair is refused: UTF-8 would change it, and with it the hash', () => {
    expect(errorsOf(`{"name":"\ud800"}`)[0]).toContain('surrogate');
  });
});

describe('docker_compose_file', () => {
  const errors = (docker_compose_file: string) => errorsOf({ ...docker, docker_compose_file });
  it.each([
    ['services: [', 'not valid YAML'],
    ['a: 1', 'services: must define at least one service'],
    ['- a', 'must be a YAML mapping'],
    ['services: {}', 'at least one service'],
    ['services:\n  web: 3', 'services.web: must be a mapping'],
    ['services:\n  web: {ports: [80]}', 'services.web.image: must name an image'],
    ['services: {a: {image: x}}\nservices: {b: {image: y}}', 'unique'],
    ['services: {a: {image: x}}\n---\nb: 1', 'not valid YAML'],
  ])('%j is refused: %s', (text, message) => expect(errors(text).join()).toContain(message));

  it('an alias bomb is refused before it expands', () => {
    const lines = ['l0: &l0 [x, x, x, x, x, x, x, x, x]'];
    for (let n = 1; n < 10; n += 1)
      lines.push(
        `l${n}: &l${n} [${Array(9)
          .fill(`*l${n - 1}`)
          .join(', ')}]`,
      );
    expect(errors(`${lines.join('\n')}\nservices: {a: {image: x}}\n`)[0]).toContain('alias bomb');
  });
  it('ordinary anchors are not a bomb', () => {
    const text =
      'x-env: &env {A: 1}\nservices:\n  a: {image: x, environment: *env}\n  b: {image: x, environment: *env}';
    expect(readAppCompose(JSON.stringify({ ...docker, docker_compose_file: text })).ok).toBe(true);
  });
  it.each([
    ['['.repeat(60_000), 'nest'],
    [`a: ${'['.repeat(60_000)}${']'.repeat(60_000)}`, 'nest'],
    ['{a: '.repeat(30_000), 'nest'],
    ['- '.repeat(60_000), 'nest'],
    ['? '.repeat(60_000), 'nest'],
    [`[${','.repeat(100_000)}]`, 'too complex'],
    ['&a '.repeat(40_000), 'too complex'],
    [Array.from({ length: 12_000 }, (_, n) => `k${n}: 1`).join('\n'), 'too complex'],
  ])('hostile shape %# is refused without parsing', (text, message) => expect(errors(text)[0]).toContain(message));
  it('brackets inside texts are not nesting', () => {
    const text = `services:\n  a:\n    image: x\n    command: |\n${'      printf "\\033[0m"\n'.repeat(100)}`;
    expect(readAppCompose(JSON.stringify({ ...docker, docker_compose_file: text })).ok).toBe(true);
  });
});
