import { randomBytes } from 'node:crypto';
import { request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { jetstream } from '@nats-io/jetstream';
import type { DesiredGuest } from '@vouch/domain';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { readSubject } from '../sealed/read-subject.js';
import { WorkerBench } from '../testing/worker-bench.js';

const SLOW = { timeout: 20_000, interval: 50 };
let bench: WorkerBench;
let guest: DesiredGuest;

beforeAll(async () => {
  bench = await WorkerBench.open();
  bench.kms.subscribe('kms.challenge.*', {
    callback: (_error, message) => {
      const { instanceId, epoch } = message.json<{ instanceId: string; epoch: number }>();
      const isKnown = instanceId === guest.instanceId && epoch === guest.epoch;
      const challenge = { challenge: 'ab'.repeat(32), expiresAt: '2026-01-01T00:01:00.000Z' };
      const refusal = { error: { code: 'not-placed', message: 'not placed there', retryable: false } };
      void message.respond(JSON.stringify(isKnown ? challenge : refusal));
    },
  });
  bench.kms.subscribe('kms.certificate.*', {
    callback: (_error, message) => void message.respond(JSON.stringify({ chain: ['-----BEGIN CERTIFICATE-----'] })),
  });
  await bench.startWorker();
});

afterAll(async () => {
  await bench.close();
});

beforeEach(async () => {
  guest = bench.guest();
  await bench.wish(guest);
  await expect.poll(() => bench.types(guest), SLOW).toContain('vm.launched');
});

interface Answer {
  readonly status: number;
  readonly body: {
    readonly [name: string]: unknown;
    readonly error?: { readonly code: string; readonly retryable: boolean };
  };
}

function ask(method: 'GET' | 'POST', path: string, body?: unknown): Promise<Answer> {
  const socketPath = join(bench.folder(guest), 'host.sock');
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, path, method, agent: false }, (answer) => {
      let text = '';
      answer.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body: text === '' ? {} : JSON.parse(text) }));
    });
    call.on('error', reject);
    call.end(body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body));
  });
}

const post = (path: string, body?: unknown) => ask('POST', path, body);

function submission(more: object = {}) {
  const { appId, instanceId, epoch } = guest;
  const claims = {
    version: 1,
    challenge: randomBytes(32).toString('hex'),
    hostId: 'host-1',
    appId,
    instanceId,
    epoch,
    hpkeKey: '11'.repeat(32),
    wireguardKey: '22'.repeat(32),
    tlsKey: '33'.repeat(91),
    ...more,
  };
  return { evidence: { quote: 'AAAA', eventLog: '[]', vmConfig: '{}' }, claims };
}

const submitted = () => bench.store.readSubject(`evt.attestation.host-1.${guest.instanceId}`);
const seal = (requestId: string) => {
  const text = JSON.stringify({ requestId, outcome: 'issued' });
  return jetstream(bench.kms).publish(`sealed.host-1.${guest.instanceId}`, text);
};

describe('challenge and certificate', () => {
  test('are relayed for this guest, with its own instance and epoch', async () => {
    expect(await post('/challenge', {})).toEqual({
      status: 200,
      body: { challenge: 'ab'.repeat(32), expiresAt: '2026-01-01T00:01:00.000Z' },
    });
    const certificate = await post('/certificate', { request: { statement: '{}', signature: 'AAAA' } });
    expect(certificate).toEqual({ status: 200, body: { chain: ['-----BEGIN CERTIFICATE-----'] } });
  });

  test("the KMS's refusal reaches the guest with its code", async () => {
    const other = guest;
    guest = { ...guest, epoch: 99 };
    const answer = await post('/challenge', {});
    guest = other;
    expect(answer).toMatchObject({ status: 403, body: { error: { code: 'not-placed', retryable: false } } });
  });
});

describe('attestation', () => {
  test('becomes one event, whose id is the request id, however often it is handed over', async () => {
    const body = submission();
    const first = await post('/attest', body);
    expect(first.status).toBe(200);
    expect(await post('/attest', body)).toEqual(first);
    await bench.endWorker('SIGKILL');
    await bench.startWorker();
    await expect.poll(() => post('/attest', body).catch(() => undefined), SLOW).toEqual(first);
    const events = await submitted();
    expect(events.map(({ envelope }) => envelope.id)).toEqual([first.body.requestId]);
    expect(events[0]?.envelope.data).toMatchObject({ hostId: 'host-1', epoch: 1, ...body });
  });

  test.each([
    ['another instance', { instanceId: 'f'.repeat(40) }],
    ['another host', { hostId: 'host-2' }],
    ['another epoch', { epoch: 2 }],
    ['another app', { appId: 'e'.repeat(40) }],
  ])('with claims of %s is refused and not logged', async (_name, more) => {
    expect(await post('/attest', submission(more))).toMatchObject({
      status: 403,
      body: { error: { code: 'claims-of-another' } },
    });
    expect(await submitted()).toEqual([]);
  });

  test.each([
    ['unknown fields', { ...{ extra: 1 } }],
    ['no claims', { evidence: { quote: '', eventLog: '', vmConfig: '' } }],
    ['no JSON', 'nonsense'],
    ['an empty body', undefined],
  ])('with %s is refused', async (_name, body) => {
    expect(await post('/attest', body)).toMatchObject({
      status: 400,
      body: { error: { code: 'bad-request', retryable: false } },
    });
  });

  test('too large a body is cut off', async () => {
    const answer = post('/attest', 'x'.repeat(2_000_000)).catch(() => ({ status: 413 }));
    expect((await answer).status).toBe(413);
  });
});

describe('grant', () => {
  test('is handed to a guest that waits for it', async () => {
    const { body } = await post('/attest', submission());
    const waiting = ask('GET', `/grant/${body.requestId}?waitMs=15000`);
    await seal(String(body.requestId));
    expect(await waiting).toEqual({ status: 200, body: { requestId: body.requestId, outcome: 'issued' } });
  });

  test('that came while no worker ran is found in the stream', async () => {
    const { body } = await post('/attest', submission());
    await bench.endWorker('SIGKILL');
    await seal(String(body.requestId));
    await bench.startWorker();
    const answer = () => ask('GET', `/grant/${body.requestId}?waitMs=1000`).catch(() => undefined);
    await expect.poll(answer, SLOW).toMatchObject({ status: 200, body: { requestId: body.requestId } });
  });

  test('is 204 when there is none, and refused for a request id that is none', async () => {
    expect((await ask('GET', '/grant/00000000-0000-4000-8000-000000000000?waitMs=0')).status).toBe(204);
    expect((await ask('GET', '/grant/..%2f..%2fetc?waitMs=0')).status).toBe(400);
    expect((await ask('GET', '/grant/00000000-0000-4000-8000-000000000000?waitMs=-5')).status).toBe(400);
  });

  test('of another guest is not given', async () => {
    const requestId = '00000000-0000-4000-8000-00000000000a';
    await jetstream(bench.kms).publish(
      `sealed.host-1.${'f'.repeat(40)}`,
      JSON.stringify({ requestId, outcome: 'issued' }),
    );
    expect((await ask('GET', `/grant/${requestId}?waitMs=500`)).status).toBe(204);
  });
});

describe('progress and health', () => {
  test('become events after vm.launched, each once', async () => {
    await post('/progress', { step: 'measured', detail: 'x' });
    await post('/progress', { step: 'measured', detail: 'x' });
    expect((await post('/healthy', { ports: [8080] })).status).toBe(200);
    expect((await post('/healthy', { ports: [8080] })).status).toBe(200);
    expect(await bench.types(guest)).toEqual(['vm.launched', 'vm.boot-progressed', 'vm.app-healthy']);
  });

  test('a port the release does not have is refused', async () => {
    expect(await post('/healthy', { ports: [22] })).toMatchObject({
      status: 400,
      body: { error: { code: 'port-not-released' } },
    });
  });

  test('a guest that floods is told to slow down, and the log holds a bounded number of its steps', async () => {
    const answers = await Promise.all(
      Array.from({ length: 15 }, async (_, lane) => {
        const statuses: number[] = [];
        for (let n = 0; n < 20; n += 1) {
          const answer = await post('/progress', { step: `s${lane}`, detail: `${n}` }).catch(() => ({ status: 0 }));
          statuses.push(answer.status);
        }
        return statuses;
      }),
    );
    expect(answers.flat().filter((status) => status === 429).length).toBeGreaterThan(200);
    expect((await bench.types(guest)).filter((type) => type === 'vm.boot-progressed').length).toBeLessThanOrEqual(64);
  });
});

describe('anything else', () => {
  test.each([
    ['GET', '/', 404],
    ['GET', '/challenge', 405],
    ['POST', '/grant/x', 405],
    ['POST', '/constructor', 404],
    ['POST', '/__proto__', 404],
  ] as const)('%s %s is %i', async (method, path, status) => {
    expect((await ask(method, path)).status).toBe(status);
  });

  test('a connection that sends nonsense is dropped', async () => {
    const socket = connect(join(bench.folder(guest), 'host.sock'));
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    socket.on('error', () => undefined);
    socket.resume();
    socket.end('\u0000\u0001 nonsense\r\n\r\n');
    await closed;
    expect((await post('/challenge', {})).status).toBe(200);
  });
});

describe('logs', () => {
  test('of agent reach the LOGS stream, once, over a worker restart', async () => {
    const lines = async (): Promise<string[]> => {
      const texts = await readSubject(bench.control, 'LOGS', `logs.host-1.${guest.instanceId}`);
      return texts.flatMap((text) => (JSON.parse(text) as { lines: string[] }).lines);
    };
    await expect.poll(lines, SLOW).toEqual(['agent of 127.9.0.2 is up']);
    await bench.endWorker('SIGTERM');
    await bench.startWorker();
    await new Promise((resolve) => setTimeout(resolve, 1200));
    expect(await lines()).toEqual(['agent of 127.9.0.2 is up']);
  });
});
