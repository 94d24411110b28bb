import { composeHashOf } from '@vouch/domain';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { TestClient } from './testing/api-client.js';
import { ControlPlane } from './testing/control-plane.js';
import { expectProblem } from './testing/expect-problem.js';
import { FakeHost } from './testing/fake-host.js';

const appId = 'a1'.repeat(20);
const appCompose = '{ "manifest_version": 2, "name": "hello", "runner": "bash", "bash_script": "true" }\n';
const resources = { vcpu: 1, memoryMiB: 512, diskGiB: 1 };

let plane: ControlPlane;
let api: TestClient;
let host: FakeHost;
let releaseId: string;

beforeAll(async () => {
  plane = await ControlPlane.start();
  api = new TestClient(() => plane.url, plane.operatorToken);
  host = await FakeHost.connect(plane, 'host-1');
});
afterAll(async () => {
  host?.silence();
  await plane?.stop();
});

async function logLength(): Promise<number> {
  return (await api.get('/v1/status')).body.log.position;
}

describe('a deployment', () => {
  it('registers an app, its release and a host', async () => {
    const app = await api.post('/v1/apps', { appId, name: 'hello' });
    expect(app.status).toBe(202);
    expect(app.body).toMatchObject({ appId, operation: { state: 'succeeded', command: 'RegisterApp' } });
    expect(app.headers.get('location')).toBe(`/v1/operations/${app.body.operation.id}`);
    expectProblem(await api.post('/v1/apps', { appId, name: 'bank' }), 409, 'app-exists', 'appId');

    const release = await api.post(`/v1/apps/${appId}/releases`, { appCompose, resources, ports: [8080] });
    expect(release.body.composeHash).toBe(composeHashOf(new TextEncoder().encode(appCompose)));
    releaseId = release.body.releaseId;
    const stored = await api.get(`/v1/releases/${releaseId}?minSeq=${release.body.seq}`);
    expect(stored.body).toMatchObject({ appCompose, composeHash: release.body.composeHash, ports: [8080] });

    const capacity = { vcpu: 4, memoryMiB: 4096 };
    const registered = await api.post('/v1/hosts', { hostId: 'host-1', driver: 'process', capacity });
    expect(registered.body.operation.state).toBe('succeeded');
    const row = await api.get(`/v1/hosts/host-1?minSeq=${registered.body.seq}`);
    expect(row.body).toMatchObject({ vcpu: 4, memoryMib: 4096, unsafe: ['unsafeProcessGuest'] });
  });

  it('without a live host it waits and says why', async () => {
    const answer = await api.post(`/v1/releases/${releaseId}/instances`, {});
    expect(answer.status).toBe(202);
    const { instanceId, operation } = answer.body;
    await vi.waitFor(async () => {
      const { body } = await api.get(`/v1/operations/${operation.id}`);
      expect(body).toMatchObject({ state: 'waiting', reason: expect.stringContaining('host-1 sends no heartbeat') });
    });
    host.beat();
    await vi.waitFor(
      async () => expect(await host.desired(instanceId)).toMatchObject({ desired: 'running', epoch: 1 }),
      10_000,
    );
    await healthy(instanceId);
    const waited = await api.post(
      `/v1/instances/${instanceId}/stop`,
      {},
      { headers: { prefer: 'wait=1', 'idempotency-key': `stop-${instanceId}` } },
    );
    expect(waited.headers.get('preference-applied')).toBe('wait=1');
    expect((await host.desired(instanceId))?.desired).toBe('stopped');
    await host.worker('vm.exited', {
      hostId: 'host-1',
      instanceId,
      epoch: 1,
      exitCode: 0,
      reason: '',
      requested: true,
    });
    const again = await api.post(
      `/v1/instances/${instanceId}/stop`,
      {},
      { headers: { prefer: 'wait=10', 'idempotency-key': `stop-${instanceId}` } },
    );
    expect(again).toMatchObject({ status: 200, body: { operation: { state: 'succeeded' } } });
    const removal = await api.call('DELETE', `/v1/instances/${instanceId}`);
    await vi.waitFor(async () => expect((await host.desired(instanceId))?.desired).toBe('removed'));
    await host.worker('vm.removed', { hostId: 'host-1', instanceId, epoch: 1 });
    await vi.waitFor(async () => expect(await host.desired(instanceId)).toBeUndefined());
    const row = await api.get(`/v1/operations/${removal.body.operation.id}?minSeq=${await logLength()}`);
    expect(row.body).toMatchObject({ state: 'succeeded', finishedAt: expect.any(String) });
  });

  it('a denied grant fails it, naming the check', async () => {
    const answer = await api.post(`/v1/releases/${releaseId}/instances`, { hostId: 'host-1' });
    const { instanceId, operation } = answer.body;
    await vi.waitFor(async () => expect(await host.desired(instanceId)).toBeDefined());
    const reason = 'compose hash is not allowed by the contract';
    await host.kms('grant.denied', {
      ...grantOf(instanceId),
      checks: [{ name: 'policy.compose-hash', outcome: 'fail', detail: reason }],
      failedCheck: 'policy.compose-hash',
      reason,
      composeHash: null,
    });
    await vi.waitFor(async () => {
      const { body } = await api.get(`/v1/operations/${operation.id}`);
      expect(body).toMatchObject({
        state: 'failed',
        code: 'grant-denied',
        reason: expect.stringContaining('policy.compose-hash'),
      });
    });
    const grants = await api.get(`/v1/grants?instanceId=${instanceId}`);
    expect(grants.body.items).toMatchObject([{ outcome: 'denied', failedCheck: 'policy.compose-hash' }]);
    expect((await host.desired(instanceId))?.desired).toBe('stopped');
  });

  it('a replayed key answers the same operation; with another body it is refused', async () => {
    const headers = { 'idempotency-key': 'one deploy' };
    const first = await api.post(`/v1/releases/${releaseId}/instances`, {}, { headers });
    const second = await api.post(`/v1/releases/${releaseId}/instances`, {}, { headers });
    expect([first.status, second.status]).toEqual([202, 200]);
    expect(second.body).toMatchObject({
      instanceId: first.body.instanceId,
      operation: { id: first.body.operation.id },
    });
    const before = await logLength();
    const other = await api.post(`/v1/releases/${releaseId}/instances`, { hostId: 'host-1' }, { headers });
    expectProblem(other, 409, 'idempotency-key-reused', 'Idempotency-Key');
    expect(await logLength()).toBeGreaterThanOrEqual(before);
  });

  it('goes on after kill -9 at whatever point it was', async () => {
    const headers = { 'idempotency-key': 'survivor' };
    const first = await api.post(`/v1/releases/${releaseId}/instances`, {}, { headers });
    await plane.killApi();
    await plane.startApi();
    const second = await api.post(`/v1/releases/${releaseId}/instances`, {}, { headers });
    expect(second.body.operation.id).toBe(first.body.operation.id);
    const { instanceId } = first.body;
    await vi.waitFor(async () => expect(await host.desired(instanceId)).toBeDefined(), 10_000);
    await healthy(instanceId);
    const events = (await api.get(`/v1/events?corr=${first.body.operation.id}&minSeq=${await logLength()}`)).body.items;
    const types = events.map((event: { type: string }) => event.type);
    expect(types.filter((type: string) => type !== 'operation.waiting')).toEqual([
      'operation.requested',
      'instance.created',
      'instance.placed',
      'operation.succeeded',
    ]);
  });

  it('cordoned hosts get nothing; uncordoned they do', async () => {
    expect((await api.post('/v1/hosts/host-1/cordon', { reason: 'disk' })).body.operation.state).toBe('succeeded');
    const answer = await api.post(`/v1/releases/${releaseId}/instances`, {});
    await vi.waitFor(async () => {
      const { body } = await api.get(`/v1/operations/${answer.body.operation.id}`);
      expect(body.reason).toContain('host-1 is cordoned');
    });
    await api.post('/v1/hosts/host-1/uncordon', {});
    await vi.waitFor(async () => expect(await host.desired(answer.body.instanceId)).toBeDefined(), 10_000);
  });
});

describe('reading the log', () => {
  it('pages without loss', async () => {
    const end = await logLength();
    const seen: number[] = [];
    let next: number | null = 0;
    while (next !== null) {
      const { body } = await api.get(`/v1/events?after=${next}&limit=7&minSeq=${end}`);
      seen.push(...body.items.map((event: { seq: number }) => event.seq));
      next = body.next;
    }
    expect(seen.slice(0, end)).toEqual(Array.from({ length: end }, (_, index) => index + 1));
  });

  it('filters by kind, type and operation', async () => {
    const { body } = await api.get('/v1/events?kind=host&type=host.cordoned');
    expect(body.items).toMatchObject([{ type: 'host.cordoned', envelope: { data: { reason: 'disk' } } }]);
  });

  it('streams from where the client was, and on', async () => {
    const end = await logLength();
    const controller = new AbortController();
    const response = await fetch(new URL('/v1/events/stream', plane.url), {
      headers: { authorization: `Bearer ${plane.viewerToken}`, 'last-event-id': String(end - 2) },
      signal: controller.signal,
    });
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    const seen: number[] = [];
    const reading = (async () => {
      const decoder = new TextDecoder();
      for await (const chunk of response.body ?? []) {
        for (const [, id] of decoder.decode(chunk).matchAll(/^id: (\d+)$/gm)) seen.push(Number(id));
      }
    })().catch(() => undefined);
    await vi.waitFor(() => expect(seen).toEqual([end - 1, end]));
    await api.post('/v1/hosts/host-1/cordon', {});
    await vi.waitFor(() => expect(seen).toEqual([end - 1, end, end + 1, end + 2, end + 3]));
    controller.abort();
    await reading;
    await api.post('/v1/hosts/host-1/uncordon', {});
  });

  it.each(['x', '-1', '99999999'])('Last-Event-ID %j is refused', async (id) => {
    expect((await api.get('/v1/events/stream', { headers: { 'last-event-id': id } })).status).toBe(400);
  });

  it('shows the end of a guest’s log', async () => {
    const { body } = await api.get('/v1/instances');
    const { instanceId } = body.items[0];
    expect((await api.get(`/v1/instances/${instanceId}/logs`)).body).toEqual({ lines: [] });
    const time = '2026-01-01T00:00:00.000Z';
    host.log(instanceId, { time, source: 'app', lines: ['one', 'two'] });
    host.log(instanceId, { time, source: 'agent', lines: ['three'] });
    await vi.waitFor(async () => {
      const { body: logs } = await api.get(`/v1/instances/${instanceId}/logs?tail=2`);
      expect(logs.lines).toEqual([
        { time, source: 'app', line: 'two' },
        { time, source: 'agent', line: 'three' },
      ]);
    });
  });
});

describe('when something is away', () => {
  it('without Postgres commands are accepted and reads say so; it catches up by itself', async () => {
    await plane.stopPostgres();
    expectProblem(await api.get('/v1/apps'), 503, 'read-model-unavailable');
    const answer = await api.post('/v1/apps', { appId: 'a2'.repeat(20), name: 'during' });
    expect(answer).toMatchObject({ status: 202, body: { operation: { state: 'succeeded' } } });
    expect((await api.get('/v1/status')).body.projection.state).toBe('unavailable');
    await plane.startPostgresAgain();
    await vi.waitFor(
      async () => expect((await api.get(`/v1/apps/${'a2'.repeat(20)}`)).body).toMatchObject({ name: 'during' }),
      { timeout: 30_000, interval: 250 },
    );
  });

  it('after a crash of NATS it goes on with what was acknowledged', async () => {
    const before = await logLength();
    await plane.bus.crashAndRestart();
    await vi.waitFor(
      async () => {
        const answer = await api.post(
          '/v1/apps',
          { appId: 'a3'.repeat(20), name: 'after' },
          { headers: { 'idempotency-key': 'a3' } },
        );
        expect(answer.body).toMatchObject({ operation: { state: 'succeeded' } });
      },
      { timeout: 30_000, interval: 250 },
    );
    expect(await logLength()).toBe(before + 3);
  });

  it('no token is in the log output', () => {
    expect(plane.apiOutput).toContain('ready');
    expect(plane.apiOutput).not.toContain(plane.operatorToken);
    expect(plane.apiOutput).not.toContain(plane.viewerToken);
    expect(plane.apiOutput).not.toContain('reader-password');
  });
});

function grantOf(instanceId: string) {
  return {
    requestId: crypto.randomUUID(),
    requestSeq: 1,
    hostId: 'host-1',
    instanceId,
    epoch: 1,
    appId,
    collateralDigest: null,
    policy: null,
    unsafe: ['unsafeSimulatedQuotes'],
  };
}

/** The host and the KMS say that everything went well. */
async function healthy(instanceId: string): Promise<void> {
  await host.kms('grant.issued', {
    ...grantOf(instanceId),
    checks: [{ name: 'quote.signature', outcome: 'pass', detail: '' }],
    composeHash: composeHashOf(new TextEncoder().encode(appCompose)),
    keyEpoch: 0,
    osImageHash: '01'.repeat(32),
    mrAggregated: '02'.repeat(32),
    deviceId: '03'.repeat(32),
    tcbStatus: 'UpToDate',
    advisoryIds: [],
    keys: { hpke: '04'.repeat(32), wireguard: '05'.repeat(32), tls: '06'.repeat(91) },
    address: '127.64.0.9',
    ports: [8080],
    gatewayAppId: '',
    payloadHash: '07'.repeat(32),
  });
  await host.worker('vm.app-healthy', { hostId: 'host-1', instanceId, epoch: 1, ports: [8080] });
}
