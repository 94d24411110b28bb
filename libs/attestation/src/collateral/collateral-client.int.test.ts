import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ParsedQuote, parseQuote } from '../abi/index.js';
import { TEST_NOW, TEST_UNTIL, TestPlatform } from '../testing/test-platform.js';
import { verifyParsedQuote } from '../verify/index.js';
import { CollateralBundle } from './collateral-bundle.js';
import { CollateralClient } from './collateral-client.js';
import type { CollateralClientOptions } from './collateral-client-options.js';
import type { CollateralEndpoint } from './collateral-endpoint.js';
import type { CollateralUnavailableError, EndpointFailureCode } from './collateral-unavailable-error.js';
import { type PccsMode, TestPccs, type TlsShape } from './testing/test-pccs.js';

const platform = new TestPlatform();
const other = new TestPlatform();
const genuine = platform.collateral();
const newer = platform.collateral({
  tcbInfoExtra: { tcbEvaluationDataNumber: 20 },
  identityExtra: { tcbEvaluationDataNumber: 20 },
});
const HOUR = 3_600_000;

let folder: string;
let started: TestPccs[];
let clock: { now: Date; monotonicMs: number };

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'vouch-collateral-'));
  started = [];
  clock = { now: TEST_NOW, monotonicMs: 0 };
});

afterEach(async () => {
  await Promise.all(started.map((pccs) => pccs.stop().catch(() => undefined)));
  rmSync(folder, { recursive: true, force: true });
});

function quote(of: TestPlatform = platform): ParsedQuote {
  const parsed = parseQuote(of.quote());
  if (!parsed.ok) throw new Error(parsed.failed.detail);
  return parsed.quote;
}

async function pccs(collateral = genuine, tls?: TlsShape): Promise<TestPccs> {
  const server = await TestPccs.start(collateral, tls === undefined ? {} : { tls });
  started.push(server);
  return server;
}

function client(
  servers: readonly (TestPccs | CollateralEndpoint)[],
  extra: Partial<CollateralClientOptions> = {},
): CollateralClient {
  return new CollateralClient({
    endpoints: servers.map((server) =>
      server instanceof TestPccs
        ? { url: server.url, ...(server.tlsRootsPem === undefined ? {} : { tlsRootsPem: server.tlsRootsPem }) }
        : server,
    ),
    now: () => clock.now,
    monotonicMs: () => clock.monotonicMs,
    trustAnchors: [platform.trustAnchor],
    timeoutMs: 300,
    ...extra,
  });
}

async function failureOf(asking: Promise<unknown>): Promise<CollateralUnavailableError> {
  return asking.then(
    () => {
      throw new Error('expected a refusal');
    },
    (error: CollateralUnavailableError) => error,
  );
}

function later(ms: number): void {
  clock.now = new Date(clock.now.getTime() + ms);
  clock.monotonicMs += ms;
}

describe('CollateralClient with real servers', () => {
  it('gets the exact bytes over TLS with a private root, and they verify', async () => {
    const server = await pccs(genuine, { name: 'localhost' });
    const collateral = await client([server]).collateralFor(quote());
    expect(collateral).toEqual(genuine);
    expect(verifyParsedQuote(quote(), collateral, { now: TEST_NOW, trustAnchors: [platform.trustAnchor] }).ok).toBe(
      true,
    );
  });

  it.each<[string, TlsShape, boolean]>([
    ['is signed by a root that is not trusted', { name: 'localhost' }, false],
    ['is for another name', { name: 'pccs.example' }, true],
    ['has expired', { name: 'localhost', notAfter: new Date('2021-01-01T00:00:00Z') }, true],
  ])('refuses a server whose TLS certificate %s, whatever it would answer', async (_why, tls, withRoots) => {
    const middle = await pccs(genuine, tls);
    const endpoint: CollateralEndpoint = {
      url: middle.url,
      ...(withRoots && middle.tlsRootsPem !== undefined ? { tlsRootsPem: middle.tlsRootsPem } : {}),
    };
    const before = process.env.NODE_TLS_REJECT_UNAUTHORIZED;
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
    try {
      const error = await failureOf(client([endpoint]).collateralFor(quote()));
      expect(error.endpoints).toMatchObject([{ endpoint: middle.url, code: 'TLS', retryable: true }]);
      expect(middle.asked).toBe(0);
    } finally {
      if (before === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
      else process.env.NODE_TLS_REJECT_UNAUTHORIZED = before;
    }
  });

  it.each<[PccsMode, EndpointFailureCode, boolean]>([
    ['slow', 'TIMEOUT', true],
    ['server-error', 'HTTP_STATUS', true],
    ['not-found', 'HTTP_STATUS', false],
    ['truncated', 'TRUNCATED', true],
    ['garbage', 'MALFORMED', true],
    ['html', 'MALFORMED', true],
    ['forged', 'NOT_AUTHENTIC', true],
    ['huge', 'TOO_LARGE', true],
    ['reset', 'UNREACHABLE', true],
  ])(
    'a server that is %s is passed over (%s) for the next one, and named when there is none',
    async (mode, code, retryable) => {
      const [bad, good] = [await pccs(), await pccs()];
      bad.mode = mode;
      expect(await client([bad, good]).collateralFor(quote())).toEqual(genuine);
      const error = await failureOf(client([bad]).collateralFor(quote()));
      expect(error).toMatchObject({ code: 'COLLATERAL_UNAVAILABLE', retryable });
      expect(error.endpoints).toMatchObject([{ endpoint: bad.url, code, retryable }]);
      expect(error.message).toContain(bad.url);
    },
  );

  it('a server that is down is passed over; the error lists every endpoint with its reason', async () => {
    const [down, broken] = [await pccs(), await pccs()];
    await down.stop();
    broken.mode = 'server-error';
    const error = await failureOf(client([down, broken]).collateralFor(quote()));
    expect(error.endpoints.map(({ code }) => code)).toEqual(['UNREACHABLE', 'HTTP_STATUS']);
    expect(error.message).toMatch(/ECONNREFUSED.*HTTP 500/);
  });

  it('collateral of another root, of another platform or out of its window is passed over', async () => {
    const foreign = await pccs(other.collateral());
    const elsewhere = await pccs(platform.collateral({ fmspc: '00906ed50000' }));
    const expired = await pccs(platform.collateral({ crlUntil: new Date(TEST_NOW.getTime() - HOUR) }));
    const error = await failureOf(client([foreign, elsewhere, expired]).collateralFor(quote()));
    expect(error.endpoints.map(({ code }) => code)).toEqual(['NOT_AUTHENTIC', 'NOT_AUTHENTIC', 'OUT_OF_WINDOW']);
    const good = await pccs();
    expect(await client([foreign, elsewhere, expired, good]).collateralFor(quote())).toEqual(genuine);
  });

  it('leaves a failing server alone, for longer each time, and returns to it', async () => {
    const [bad, good] = [await pccs(), await pccs()];
    bad.mode = 'server-error';
    const asking = client([bad, good], { maxAgeMs: 1 });
    const round = async (): Promise<number> => {
      const before = bad.asked;
      clock.now = new Date(clock.now.getTime() + 10);
      await asking.collateralFor(quote());
      return bad.asked - before;
    };
    expect(await round()).toBe(4);
    expect(await round()).toBe(0);
    clock.monotonicMs += 501;
    expect(await round()).toBe(4);
    clock.monotonicMs += 400;
    expect(await round()).toBe(0);
    clock.monotonicMs += 700;
    bad.mode = 'ok';
    expect(await round()).toBe(4);
    expect(asking.status().endpoints[0]).toMatchObject({ failuresInARow: 0, lastFailure: null, waitMs: 0 });
  });

  it('without a second server, a wait is named as one and can be retried', async () => {
    const bad = await pccs();
    bad.mode = 'server-error';
    const asking = client([bad]);
    await failureOf(asking.collateralFor(quote()));
    const before = bad.asked;
    const error = await failureOf(asking.collateralFor(quote()));
    expect(error).toMatchObject({ retryable: true, endpoints: [{ code: 'BACKING_OFF' }] });
    expect(error.message).toMatch(/HTTP 500/);
    expect(bad.asked).toBe(before);
    bad.mode = 'ok';
    clock.monotonicMs += 60_000;
    expect(await asking.collateralFor(quote())).toEqual(genuine);
  });

  it('refuses evaluation data older than it has seen; the same or newer is welcome', async () => {
    const server = await pccs(newer);
    const asking = client([server]);
    expect(await asking.collateralFor(quote())).toEqual(newer);
    server.collateral = genuine;
    asking.forget(quote());
    later(1);
    // The old one is refused and the one in hand stays in use.
    expect(await asking.collateralFor(quote())).toEqual(newer);
    expect(asking.status().endpoints[0]?.lastFailure).toMatchObject({ code: 'ROLLBACK' });
    server.collateral = newer;
    later(HOUR + 60_000);
    expect(await asking.collateralFor(quote())).toEqual(newer);
    expect(asking.status().endpoints[0]?.lastFailure).toBeNull();
  });

  it('remembers over a restart what it saw, and refuses a rollback even with expired proof', async () => {
    const server = await pccs(newer);
    await client([server], { cacheFolder: folder }).collateralFor(quote());
    server.collateral = genuine;
    later(8 * 24 * HOUR);
    const error = await failureOf(client([server], { cacheFolder: folder }).collateralFor(quote()));
    expect(error.endpoints).toMatchObject([{ code: 'ROLLBACK' }]);
    expect(error.message).toMatch(/number 19, but 20 was seen/);
  });

  it('keeps using what it has while nobody answers, until its windows or its patience end', async () => {
    const server = await pccs();
    const asking = client([server], { maxStaleMs: 5 * 24 * HOUR });
    await asking.collateralFor(quote());
    server.mode = 'server-error';
    later(2 * HOUR);
    expect(await asking.collateralFor(quote())).toEqual(genuine);
    later(5 * 24 * HOUR);
    expect(await failureOf(asking.collateralFor(quote()))).toMatchObject({ retryable: true });
    const patient = client([await pccs()], { maxStaleMs: 1000 * 24 * HOUR });
    await patient.collateralFor(quote());
    clock.now = new Date(TEST_UNTIL.getTime() + 1000);
    expect(await failureOf(patient.collateralFor(quote()))).toMatchObject({ code: 'COLLATERAL_UNAVAILABLE' });
  });

  it('renews in the background before it has to, and answers meanwhile from what it has', async () => {
    const server = await pccs();
    const asking = client([server]);
    await asking.collateralFor(quote());
    server.collateral = newer;
    later(HOUR * 0.6);
    expect(await asking.collateralFor(quote())).toEqual(genuine);
    await expect.poll(() => asking.status().platforms[0]?.tcbInfoNumber).toBe(20);
    expect(await asking.collateralFor(quote())).toEqual(newer);
    expect(server.asked).toBe(8);
  });

  it('renews ahead of the end of the windows although the answer is young', async () => {
    const server = await pccs();
    clock.now = new Date(TEST_UNTIL.getTime() - 2 * HOUR);
    const asking = client([server]);
    await asking.collateralFor(quote());
    later(6 * 60_000);
    await asking.collateralFor(quote());
    await expect.poll(() => server.asked).toBe(8);
  });
});

describe('the cache folder', () => {
  it('serves a restart without asking, from the exact bytes', async () => {
    const server = await pccs();
    await client([server], { cacheFolder: folder }).collateralFor(quote());
    const before = server.asked;
    expect(await client([server], { cacheFolder: folder }).collateralFor(quote())).toEqual(genuine);
    expect(server.asked).toBe(before);
    expect(readdirSync(folder)).toEqual(['tdx-00a06f050000-platform.json']);
  });

  it('serves a restart during an outage', async () => {
    const server = await pccs();
    await client([server], { cacheFolder: folder }).collateralFor(quote());
    server.mode = 'server-error';
    later(3 * HOUR);
    expect(await client([server], { cacheFolder: folder }).collateralFor(quote())).toEqual(genuine);
  });

  it.each<[string, (text: string) => string]>([
    ['one signed byte changed', (text) => text.replace('UpToDate', 'upToDate')],
    [
      'a raised evaluation number',
      (text) => text.replaceAll(/tcbEvaluationDataNumber\\":19/g, 'tcbEvaluationDataNumber\\":99'),
    ],
    ['cut off', (text) => text.slice(0, text.length / 2)],
    ['another shape', () => '{"version":1,"fetchedAt":"2026-01-01T00:00:00Z","collateral":[1]}'],
    ['empty', () => ''],
  ])('a file with %s is as good as none: it is fetched again and teaches nothing', async (_what, damage) => {
    const server = await pccs();
    await client([server], { cacheFolder: folder }).collateralFor(quote());
    const path = join(folder, 'tdx-00a06f050000-platform.json');
    const damaged = damage(readFileSync(path, 'utf8'));
    expect(damaged).not.toBe(readFileSync(path, 'utf8'));
    writeFileSync(path, damaged);
    const before = server.asked;
    expect(await client([server], { cacheFolder: folder }).collateralFor(quote())).toEqual(genuine);
    expect(server.asked).toBe(before + 4);
  });

  it('a file that another root signed is as good as none', async () => {
    const theirs = await pccs(other.collateral());
    await client([theirs], { cacheFolder: folder, trustAnchors: [other.trustAnchor] }).collateralFor(quote(other));
    const ours = await pccs();
    expect(await client([ours], { cacheFolder: folder }).collateralFor(quote())).toEqual(genuine);
    expect(ours.asked).toBe(4);
  });

  it('a folder that cannot be written costs the cache, not the verification', async () => {
    const file = join(folder, 'a-file');
    writeFileSync(file, '');
    const asking = client([await pccs()], { cacheFolder: join(file, 'below') });
    expect(await asking.collateralFor(quote())).toEqual(genuine);
    expect(asking.status().cacheProblem).toMatch(/collateral cache/);
  });
});

describe('a bundle', () => {
  const bundle = CollateralBundle.fromText(CollateralBundle.toText([genuine]));

  it('serves alone, without any network', async () => {
    expect(await client([], { bundle }).collateralFor(quote())).toEqual(genuine);
  });

  it('serves when no endpoint does, and only then', async () => {
    const server = await pccs(newer);
    expect(await client([server], { bundle }).collateralFor(quote())).toEqual(newer);
    server.mode = 'server-error';
    expect(await client([server], { bundle }).collateralFor(quote())).toEqual(genuine);
  });

  it('is judged as an endpoint is: rollback, window, authenticity', async () => {
    const server = await pccs(newer);
    const asking = client([server], { bundle });
    await asking.collateralFor(quote());
    server.mode = 'server-error';
    later(8 * 24 * HOUR);
    const rolledBack = await failureOf(asking.collateralFor(quote()));
    expect(rolledBack.endpoints.at(-1)).toMatchObject({ endpoint: 'bundle', code: 'ROLLBACK' });
    const forged = CollateralBundle.fromText(
      CollateralBundle.toText([{ ...genuine, tcb_info: genuine.tcb_info.replace('19', '91') }]),
    );
    const refused = await failureOf(client([], { bundle: forged }).collateralFor(quote()));
    expect(refused).toMatchObject({ retryable: false, endpoints: [{ endpoint: 'bundle', code: 'NOT_AUTHENTIC' }] });
  });
});
