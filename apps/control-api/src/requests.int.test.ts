import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CallOptions, TestClient } from './testing/api-client.js';
import { ControlPlane } from './testing/control-plane.js';
import { expectProblem } from './testing/expect-problem.js';

const appId = 'a1'.repeat(20);
const appCompose = '{ "manifest_version": 2, "name": "hello", "runner": "bash", "bash_script": "true" }';
const resources = { vcpu: 1, memoryMiB: 512, diskGiB: 1 };
const unknown20 = 'ff'.repeat(20);
const unknown16 = 'ff'.repeat(16);

let plane: ControlPlane;
let api: TestClient;
let releaseId: string;

beforeAll(async () => {
  plane = await ControlPlane.start();
  api = new TestClient(() => plane.url, plane.operatorToken);
  await api.post('/v1/apps', { appId, name: 'hello' });
  releaseId = (await api.post(`/v1/apps/${appId}/releases`, { appCompose, resources })).body.releaseId;
});
afterAll(async () => {
  await plane?.stop();
});

async function logLength(): Promise<number> {
  return (await api.get('/v1/status')).body.log.position;
}

describe('who may ask', () => {
  it.each([
    ['no token', 'GET', '/v1/apps', { token: null }, 401, 'token-missing'],
    ['a forged token', 'GET', '/v1/apps', { token: 'f'.repeat(32) }, 401, 'token-unknown'],
    [
      'another scheme',
      'GET',
      '/v1/apps',
      { token: null, headers: { authorization: 'Basic eDp5' } },
      401,
      'token-unknown',
    ],
    ['no token on a mutation', 'POST', '/v1/apps', { token: null, body: { appId, name: 'x' } }, 401, 'token-missing'],
    ['a forged token on the stream', 'GET', '/v1/events/stream', { token: 'nope' }, 401, 'token-unknown'],
  ] as [string, string, string, CallOptions, number, string][])(
    '%s is refused',
    async (_, method, path, options, ...problem) => {
      const answer = await api.call(method, path, options);
      expectProblem(answer, ...problem);
      expect(answer.headers.get('www-authenticate')).toContain('Bearer');
    },
  );

  it('a token is asked for before the body is read', async () => {
    expectProblem(await api.call('POST', '/v1/apps', { token: null, raw: '{"broken' }), 401, 'token-missing');
  });

  it('a viewer reads and changes nothing', async () => {
    const before = await logLength();
    const token = plane.viewerToken;
    expect((await api.get('/v1/apps', { token })).status).toBe(200);
    expectProblem(await api.post('/v1/apps', { appId, name: 'x' }, { token }), 403, 'role-insufficient');
    expectProblem(await api.call('DELETE', `/v1/instances/${unknown20}`, { token }), 403, 'role-insufficient');
    expect(await logLength()).toBe(before);
  });

  it('the page and the description need no token and say nothing of the fleet', async () => {
    const page = await api.get('/', { token: null });
    expect(page.status).toBe(200);
    expect(page.headers.get('content-security-policy')).toContain("script-src 'self'");
    expect(page.headers.get('content-type')).toContain('text/html');
    expect((await api.get('/docs-json', { token: null })).body.openapi).toMatch(/^3\./);
    expect((await api.get('/docs', { token: null })).status).toBe(200);
  });
});

describe('the description', () => {
  it('names every route with its errors as problem documents', async () => {
    const { paths } = (await api.get('/docs-json')).body;
    const routes = Object.entries(paths as Record<string, Record<string, { responses: Record<string, unknown> }>>);
    expect(routes.length).toBeGreaterThanOrEqual(16);
    for (const [path, methods] of routes) {
      expect(path).toMatch(/^\/v1\//);
      for (const [method, { responses }] of Object.entries(methods)) {
        const expected =
          method === 'get' ? ['200', '400', '401'] : ['200', '202', '400', '401', '403', '409', '413', '415', '503'];
        expect(Object.keys(responses), `${method} ${path}`).toEqual(expect.arrayContaining(expected));
        expect(responses['401']).toMatchObject({
          content: { 'application/problem+json': { schema: { type: 'object' } } },
        });
      }
    }
  });
});

describe('requests that are not understood', () => {
  it.each([
    ['broken JSON', { raw: '{"appId":' }, 400, 'body-malformed'],
    ['no body', {}, 400, 'request-invalid'],
    [
      'another media type',
      { raw: 'a=b', headers: { 'content-type': 'application/x-www-form-urlencoded' } },
      415,
      'media-type-unsupported',
    ],
    ['text', { raw: 'hello', headers: { 'content-type': 'text/plain' } }, 415, 'media-type-unsupported'],
    ['more than 1 MiB', { raw: JSON.stringify({ name: 'x'.repeat(1024 * 1024) }) }, 413, 'body-too-large'],
    ['a poisoned prototype', { raw: `{"__proto__":{},"appId":"${appId}","name":"x"}` }, 400, 'body-malformed'],
    ['an unknown member', { body: { appId, name: 'x', admin: true } }, 400, 'request-invalid'],
  ] as [string, CallOptions, number, string][])('%s', async (_, options, status, code) => {
    const before = await logLength();
    expectProblem(await api.call('POST', '/v1/apps', options), status, code);
    expect(await logLength()).toBe(before);
  });

  it('every wrong field is named', async () => {
    const answer = await api.post('/v1/hosts', { hostId: 'A', driver: 'xen', capacity: { vcpu: 0 } });
    expectProblem(answer, 400, 'request-invalid');
    const fields = answer.body.errors.map((error: { field: string }) => error.field);
    expect(fields).toEqual(expect.arrayContaining(['hostId', 'driver', 'capacity.vcpu', 'capacity.memoryMiB']));
  });

  it.each([
    ['/v1/nothing', 404, 'route-unknown'],
    ['/nothing', 404, 'route-unknown'],
    ['/v1/apps/0x12', 400, 'request-invalid'],
    ['/v1/apps?limit=0', 400, 'request-invalid'],
    ['/v1/events?after=-1', 400, 'request-invalid'],
    ['/v1/hosts/%E0%A4%A', 400, 'url-malformed'],
    [`/v1/apps/${unknown20}`, 404, 'app-unknown'],
    [`/v1/releases/${unknown16}`, 404, 'release-unknown'],
    [`/v1/instances/${unknown20}`, 404, 'instance-unknown'],
    [`/v1/instances/${unknown20}/logs`, 404, 'instance-unknown'],
    ['/v1/hosts/nowhere', 404, 'host-unknown'],
    [`/v1/operations/${unknown16}`, 404, 'operation-unknown'],
    ['/v1/apps?minSeq=999999', 504, 'projection-behind'],
  ] as const)('GET %s', async (path, status, code) => expectProblem(await api.get(path), status, code));

  it.each([
    ['Prefer', { prefer: 'wait=61' }],
    ['Prefer', { prefer: 'wait=soon' }],
    ['Idempotency-Key', { 'idempotency-key': 'x'.repeat(256) }],
  ] as [string, Record<string, string>][])('header %s', async (field, headers) => {
    expectProblem(await api.post('/v1/apps', { appId, name: 'x' }, { headers }), 400, 'request-invalid', field);
  });
});

describe('bad commands', () => {
  it.each([
    [
      'a release of an unknown app',
      'POST',
      `/v1/apps/${unknown20}/releases`,
      { appCompose, resources },
      404,
      'app-unknown',
      'appId',
    ],
    [
      'an instance of an unknown release',
      'POST',
      `/v1/releases/${unknown16}/instances`,
      {},
      404,
      'release-unknown',
      'releaseId',
    ],
    [
      'stopping an unknown instance',
      'POST',
      `/v1/instances/${unknown20}/stop`,
      {},
      404,
      'instance-unknown',
      'instanceId',
    ],
    [
      'removing an unknown instance',
      'DELETE',
      `/v1/instances/${unknown20}`,
      undefined,
      404,
      'instance-unknown',
      'instanceId',
    ],
    ['cordoning an unknown host', 'POST', '/v1/hosts/nowhere/cordon', {}, 404, 'host-unknown', 'hostId'],
  ] as [string, string, string, unknown, number, string, string][])(
    '%s',
    async (_, method, path, body, status, code, field) => {
      const before = await logLength();
      expectProblem(await api.call(method, path, { body }), status, code, field);
      expect(await logLength()).toBe(before);
    },
  );

  it('an unknown host to deploy on', async () => {
    const answer = await api.post(`/v1/releases/${releaseId}/instances`, { hostId: 'nowhere' });
    expectProblem(answer, 404, 'host-unknown', 'hostId');
  });

  it.each([
    ['not JSON', '{', 422, 'compose-malformed', 'appCompose'],
    ['a key twice', '{"name":"a","name":"b"}', 422, 'compose-malformed', 'appCompose'],
    ['no runner', '{"manifest_version":2,"name":"x"}', 422, 'compose-invalid', 'appCompose.runner'],
    [
      'an alias bomb',
      JSON.stringify({
        manifest_version: 2,
        name: 'x',
        runner: 'docker-compose',
        docker_compose_file: `a: &a [x, x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]\nservices: {x: {image: x, command: [*c, *c]}}`,
      }),
      422,
      'compose-invalid',
      'appCompose.docker_compose_file',
    ],
    ['129 KiB', JSON.stringify({ name: 'x'.repeat(129 * 1024) }), 413, 'compose-too-large', 'appCompose'],
  ] as const)('an app-compose with %s', async (_, text, status, code, field) => {
    const before = await logLength();
    const answer = await api.post(`/v1/apps/${appId}/releases`, { appCompose: text, resources });
    expectProblem(answer, status, code, field);
    expect(await logLength()).toBe(before);
  });
});
