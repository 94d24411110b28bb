import type { RequestListener } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { BOOT_INFO } from '../testing/boot-info.js';
import { NOW } from '../testing/guest.js';
import { type StubServer, startStubServer } from '../testing/stub-server.js';
import { WebhookPolicy } from './webhook-policy.js';

const servers: StubServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
});

async function policyOf(answer: RequestListener, timeoutMs = 2_000, path = ''): Promise<WebhookPolicy> {
  const server = await startStubServer(answer);
  servers.push(server);
  return new WebhookPolicy({ url: `${server.url}${path}`, timeoutMs, now: () => NOW });
}

const json =
  (body: unknown, status = 200): RequestListener =>
  (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };
const ALLOWED = { isAllowed: true, gatewayAppId: 'any', reason: '' };

describe('an authorisation server', () => {
  it('is asked as dstack asks, and believed', async () => {
    const seen: unknown[] = [];
    const policy = await policyOf(
      (request, response) => {
        request.setEncoding('utf8');
        request.on('data', (text: string) => seen.push(request.method, request.url, JSON.parse(text)));
        request.on('end', () => json(ALLOWED)(request, response));
      },
      2_000,
      '/base',
    );
    const decision = await policy.read('app', BOOT_INFO);
    expect(seen).toEqual(['POST', '/base/bootAuth/app', { ...BOOT_INFO }]);
    expect(decision).toMatchObject({ isAllowed: true, gatewayAppId: 'any', asOf: NOW, origin: { source: 'webhook' } });
    expect(decision.origin).toMatchObject({ host: expect.stringMatching(/^127\.0\.0\.1:\d+$/) });
    await policy.read('kms', BOOT_INFO);
    expect(seen[4]).toBe('/base/bootAuth/kms');
  });

  it('refuses with a reason of its own', async () => {
    const policy = await policyOf(json({ isAllowed: false, gatewayAppId: '', reason: 'not on a Sunday' }));
    expect(await policy.read('app', BOOT_INFO)).toMatchObject({ isAllowed: false, reason: 'not on a Sunday' });
  });

  const misbehaviour: [string, RequestListener, RegExp][] = [
    ['answers 400', json(ALLOWED, 400), /HTTP 400/],
    ['answers 500', json(ALLOWED, 500), /HTTP 500/],
    ['answers garbage', (_request, response) => void response.end('<html>'), /not JSON/],
    [
      'answers bytes that are no text',
      (_request, response) => void response.end(Buffer.from([0xff, 0xfe])),
      /not JSON/,
    ],
    ['answers nothing', (_request, response) => void response.end(), /not JSON/],
    ['leaves a member out', json({ isAllowed: true, reason: '' }), /no decision: gatewayAppId/],
    ['says yes in a string', json({ ...ALLOWED, isAllowed: 'true' }), /no decision: isAllowed/],
    [
      'redirects to one that allows',
      (request, response) =>
        request.url === '/elsewhere'
          ? json(ALLOWED)(request, response)
          : void response.writeHead(307, { location: '/elsewhere' }).end(),
      /redirects \(HTTP 307\)/,
    ],
    [
      'never stops answering',
      (_request, response) => {
        response.writeHead(200);
        const pour = () => {
          while (!response.destroyed && response.write(' '.repeat(16_384)));
        };
        response.on('drain', pour);
        pour();
      },
      /more than 65536 bytes/,
    ],
    ['hangs up', (request) => void request.socket.destroy(), /cannot be reached/],
  ];
  it.each(misbehaviour)('that %s gives no decision', async (_what, answer, reason) => {
    const policy = await policyOf(answer);
    await expect(policy.read('app', BOOT_INFO)).rejects.toMatchObject({
      code: 'policy-unavailable',
      retryable: true,
      message: expect.stringMatching(reason),
    });
  });

  it('that is slow, with its head or its body, gives no decision', async () => {
    const silent = await policyOf(() => undefined, 100);
    await expect(silent.read('app', BOOT_INFO)).rejects.toThrow(/did not answer within 100 ms/);
    const dripping = await policyOf(
      (_request, response) => void response.writeHead(200).write('{"isAllowed":true,'),
      100,
    );
    await expect(dripping.read('app', BOOT_INFO)).rejects.toThrow(/did not answer within 100 ms/);
  });

  it('that is not there gives no decision', async () => {
    const policy = await policyOf(json(ALLOWED));
    await servers.pop()?.stop();
    await expect(policy.read('app', BOOT_INFO)).rejects.toThrow(/cannot be reached: ECONNREFUSED/);
    await expect(policy.reachable()).rejects.toThrow(/cannot be reached/);
  });

  it('is reachable when it describes itself', async () => {
    const policy = await policyOf(json({ status: 'ok' }));
    expect(await policy.reachable()).toEqual({ contract: null, chainId: null });
  });
});
