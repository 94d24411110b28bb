import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import type { TLSSocket } from 'node:tls';
import type { AuthoredEvent, EventType } from '@vouch/domain';
import { MemoryEventStore } from '@vouch/eventstore';
import { generateDevelopmentCa, mintServerCertificate } from '@vouch/keys';
import { makeTestAuthors } from '@vouch/testkit';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type EventFact, RoutingTable } from '../routing/routing-table.js';
import { clientHelloMessage, inRecords } from '../testing/client-hello-bytes.js';
import { deployed, storyOf } from '../testing/fleet-story.js';
import {
  BASE_DOMAIN,
  EchoApp,
  GatewayFixture,
  readAll,
  readUntil,
  realClientHello,
} from '../testing/gateway-fixture.js';

const now = new Date();
const ca = generateDevelopmentCa({ commonName: 'Gateway test CA', now });
const wildcard = mintServerCertificate({ ca, dnsNames: [`*.${BASE_DOMAIN}`], now });
const certificates = { caPem: ca.certificate, wildcard };

const appId = 'a1'.repeat(20);
const PORT = 18_080;
const TLS_PORT = 18_443;
const one = { appId, instanceId: 'b1'.repeat(20), address: '127.64.7.1', ports: [PORT, TLS_PORT, 80] };
const two = { ...one, instanceId: 'b2'.repeat(20), address: '127.64.7.2' };

const authors = makeTestAuthors();
const writers = { app: authors.of('control-api'), instance: authors.of('control-api'), grant: authors.of('kms') };

/** The log, and a feed from it into the table, as the service has it. */
class Fleet {
  readonly store = new MemoryEventStore({ directory: authors.directory, now: () => new Date() });
  readonly table = new RoutingTable({ unsafeProcessGuest: true });
  gateway: GatewayFixture | undefined;
  readonly #abort = new AbortController();
  readonly #feed = this.#run();

  async tell(...facts: EventFact[]): Promise<void> {
    let seq = 0;
    for (const fact of facts) {
      const [kind = ''] = fact.type.split('.');
      const hostId = 'hostId' in fact.data ? fact.data.hostId : '';
      const author = kind === 'vm' ? authors.of('host-worker', hostId) : writers[kind as keyof typeof writers];
      const event = authors.event<EventType>(author, fact.type, fact.data) as AuthoredEvent;
      const last = await this.store.lastOf(event.envelope.subject);
      const outcome = await this.store.append(event, last?.seq ?? 0);
      if (!outcome.ok) throw new Error('conflict');
      seq = outcome.seq;
    }
    await expect.poll(() => this.table.position).toBe(seq);
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#feed;
  }

  async #run(): Promise<void> {
    for await (const event of this.store.read({ fromSeq: 1, follow: true, signal: this.#abort.signal })) {
      const replaced = this.table.apply(event.seq, event.envelope);
      if (replaced !== undefined) this.gateway?.proxy.cutStale(replaced);
    }
  }
}

const nameOf = (id: string, tail = '') => `${id}${tail}.${BASE_DOMAIN}`;

let fleet: Fleet;
let gateway: GatewayFixture;
let apps: EchoApp[];

beforeAll(async () => {
  const own = mintServerCertificate({ ca, dnsNames: [nameOf(one.instanceId, `-${TLS_PORT}s`)], now });
  apps = [
    await EchoApp.start('one', one.address, PORT),
    await EchoApp.start('two', two.address, PORT),
    await EchoApp.start('one-tls', one.address, TLS_PORT, { cert: own.certificate, key: own.privateKey }),
  ];
});
afterAll(async () => {
  await Promise.all(apps.map((app) => app.stop()));
});

beforeEach(async () => {
  fleet = new Fleet();
  await fleet.tell(storyOf(one).registered(), ...deployed(one));
  gateway = await GatewayFixture.start(fleet.table, certificates);
  fleet.gateway = gateway;
});
afterEach(async () => {
  await gateway.stop();
  await fleet.stop();
  expect(gateway.observer.failures).toEqual([]);
});

async function refusal(servername: string): Promise<unknown> {
  const error = await gateway.connect(servername).then(
    (socket) => {
      socket.destroy();
      return { code: 'accepted' };
    },
    (thrown: NodeJS.ErrnoException) => thrown,
  );
  return error.code;
}
const UNRECOGNIZED_NAME = 'ERR_SSL_TLSV1_UNRECOGNIZED_NAME';

describe('carries', () => {
  it.each([
    ['the instance', one.instanceId],
    ['the app', appId],
    ['the app in capitals', appId.toUpperCase()],
  ])('terminated TLS to %s, under the wildcard certificate', async (_name, id) => {
    const socket = await gateway.connect(nameOf(id, `-${PORT}`));
    expect(socket.getPeerCertificate().subjectaltname).toBe(`DNS:*.${BASE_DOMAIN}`);
    expect(socket.alpnProtocol).toBe(false);
    socket.write('hello');
    expect(await readUntil(socket, 'hello')).toBe('one\nhello');
    socket.destroy();
    await expect.poll(() => gateway.observer.open).toBe(0);
    expect(gateway.observer).toMatchObject({ toApp: 5, fromApp: 13, refusals: [] });
  });

  it('passed-through TLS: the app shows its own certificate', async () => {
    const name = nameOf(one.instanceId, `-${TLS_PORT}s`);
    const socket = await gateway.connect(name);
    expect(socket.getPeerCertificate().subjectaltname).toBe(`DNS:${name}`);
    expect(await readUntil(socket, '\n')).toBe('one-tls\n');
    socket.destroy();
  });

  it('h2 and nothing else for names with g', async () => {
    const name = nameOf(appId, `-${PORT}g`);
    const socket = await gateway.connect(name, { ALPNProtocols: ['http/1.1', 'h2'] });
    expect(socket.alpnProtocol).toBe('h2');
    expect(await readUntil(socket, '\n')).toBe('one\n');
    socket.destroy();
    await expect(gateway.connect(name, { ALPNProtocols: ['http/1.1'] })).rejects.toMatchObject({
      code: 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL',
    });
    expect(gateway.observer.refusals).toEqual(['handshake-failed']);
  });

  it.each(['TLSv1.2', 'TLSv1.3'] as const)('%s', async (version) => {
    const socket = await gateway.connect(nameOf(appId, `-${PORT}`), { minVersion: version, maxVersion: version });
    expect(socket.getProtocol()).toBe(version);
    socket.destroy();
  });

  it('a half-closed connection until the other side has ended too', async () => {
    const socket = await gateway.connect(nameOf(appId, `-${PORT}`), { allowHalfOpen: true } as object);
    socket.end('last words');
    expect((await readAll(socket)).toString()).toBe('one\nlast wordsbye\n');
  });

  it('megabytes in both directions, byte for byte', async () => {
    const socket = await gateway.connect(nameOf(appId, `-${PORT}`), { allowHalfOpen: true } as object);
    const payload = Buffer.alloc(8 * 1024 * 1024, 'abcdefghijk');
    socket.end(payload);
    const echoed = await readAll(socket);
    expect(echoed.subarray(4, -4).equals(payload)).toBe(true);
  });

  it('a ClientHello in tiny packets and records, passed on as it came', async () => {
    const socket = await gateway.dial();
    const hello = inRecords(clientHelloMessage({ serverName: nameOf(appId, `-${PORT}s`), paddingBytes: 20_000 }), 777);
    for (let at = 0; at < hello.length; at += 1_000) {
      socket.write(hello.subarray(at, at + 1_000));
      await new Promise((resolve) => setImmediate(resolve));
    }
    socket.end();
    const answer = await readAll(socket);
    expect(answer.subarray(4, -4).equals(hello)).toBe(true);
  });

  it('to both instances of an app, the less busy one first', async () => {
    await fleet.tell(...deployed(two));
    const sockets: TLSSocket[] = [];
    const names: string[] = [];
    for (let round = 0; round < 6; round += 1) {
      const socket = await gateway.connect(nameOf(appId, `-${PORT}`));
      names.push(await readUntil(socket, '\n'));
      sockets.push(socket);
    }
    expect(names.filter((name) => name === 'one\n')).toHaveLength(3);
    expect(gateway.proxy.connectionsTo(two.instanceId)).toBe(3);
    for (const socket of sockets) socket.destroy();
    await expect.poll(() => gateway.proxy.connectionsTo(two.instanceId)).toBe(0);
  });

  it('to the next instance when one cannot be reached', async () => {
    const dead = { ...one, instanceId: 'b3'.repeat(20), address: '127.64.7.3' };
    await fleet.tell(...deployed(dead));
    for (let round = 0; round < 8; round += 1) {
      const socket = await gateway.connect(nameOf(appId, `-${PORT}`));
      expect(await readUntil(socket, '\n')).toBe('one\n');
      socket.destroy();
    }
    expect(new Set(gateway.observer.unreachables)).toEqual(new Set([dead.instanceId]));
    expect(gateway.proxy.connectionsTo(dead.instanceId)).toBe(0);
  });
});

describe('refuses', () => {
  it.each([
    ['an unknown app', nameOf('f0'.repeat(20)), 'id-unknown'],
    ['a port the grant does not name', nameOf(appId, '-18081'), 'port-not-granted'],
    ['a name outside the grammar', nameOf(appId, '-80p'), 'name-invalid'],
    ['another domain', 'app.example.test', 'domain-unknown'],
    ['two labels', nameOf(`x.${appId}`), 'domain-unknown'],
  ])('%s, with an alert that says so', async (_name, servername, reason) => {
    expect(await refusal(servername)).toBe(UNRECOGNIZED_NAME);
    expect(gateway.observer.refusals).toEqual([reason]);
  });

  it.each([
    [
      'without a grant',
      (story: ReturnType<typeof storyOf>) => [story.created(), story.placed(), story.launched(), story.healthy()],
    ],
    [
      'with a grant of an old epoch',
      (story: ReturnType<typeof storyOf>) => [
        story.created(),
        story.placed(),
        story.placed(2, 'host-2'),
        story.granted(1),
        story.healthy(2, 'host-2'),
      ],
    ],
    ['not healthy', (story: ReturnType<typeof storyOf>) => [story.created(), story.placed(), story.granted()]],
    [
      'asked to stop',
      (story: ReturnType<typeof storyOf>) => [
        story.created(),
        story.placed(),
        story.granted(),
        story.healthy(),
        story.stopRequested(),
      ],
    ],
  ])('an instance %s, terminated and passed through', async (_name, events) => {
    await fleet.tell(...events(storyOf(two)));
    expect(await refusal(nameOf(two.instanceId, `-${PORT}`))).toBe(UNRECOGNIZED_NAME);
    expect(await refusal(nameOf(two.instanceId, `-${PORT}s`))).toBe(UNRECOGNIZED_NAME);
    expect(gateway.observer.refusals).toEqual(['no-route', 'no-route']);
    expect(await refusal(nameOf(one.instanceId, `-${PORT}`))).toBe('accepted');
  });

  it('no name, plain HTTP, and noise', async () => {
    await expect(gateway.connect('')).rejects.toMatchObject({ code: UNRECOGNIZED_NAME });
    const http = await gateway.dial();
    http.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
    expect((await readAll(http)).toString()).toContain('400 Bad Request');
    const noise = await gateway.dial();
    noise.write(Buffer.from([22, 3, 1, 0, 0]));
    expect([...(await readAll(noise))]).toEqual([21, 3, 3, 0, 2, 2, 50]);
    expect(gateway.observer.refusals).toEqual(['no-server-name', 'not-tls', 'client-hello-invalid']);
  });

  it('when no instance can be reached', async () => {
    await fleet.tell(...deployed(two), storyOf(one).stopRequested());
    const socket = await gateway.connect(nameOf(two.instanceId, '-80'));
    await expect(readUntil(socket, '\n')).rejects.toThrow();
    expect(gateway.observer).toMatchObject({
      refusals: ['upstream-unreachable'],
      unreachables: [two.instanceId],
    });
  });
});

describe('takes back', () => {
  it('connections to an instance whose epoch has passed, and no others', async () => {
    await fleet.tell(...deployed(two));
    const [stale, kept] = await Promise.all(
      [one, two].map(({ instanceId }) => gateway.connect(nameOf(instanceId, `-${PORT}`))),
    );
    await Promise.all([readUntil(stale as TLSSocket, '\n'), readUntil(kept as TLSSocket, '\n')]);
    const closed = once(stale as TLSSocket, 'close');
    (stale as TLSSocket).on('error', () => undefined).resume();
    await fleet.tell(storyOf(one).placed(2, 'host-2'));
    await closed;
    kept?.write('still here');
    expect(await readUntil(kept as TLSSocket, 'here')).toBe('still here');
    kept?.destroy();
  });
});

describe('endures', () => {
  it('clients that never finish their hello', async () => {
    await gateway.stop();
    gateway = await GatewayFixture.start(fleet.table, certificates, { handshakeTimeoutMs: 150 });
    const silent = await gateway.dial();
    const slow = await gateway.dial();
    slow.write(Buffer.from([22, 3]));
    await Promise.all([readAll(silent), readAll(slow)]);
    expect(gateway.observer.refusals).toEqual(['client-hello-timeout', 'client-hello-timeout']);
  });

  it('clients that stall within the handshake', async () => {
    await gateway.stop();
    gateway = await GatewayFixture.start(fleet.table, certificates, { handshakeTimeoutMs: 150 });
    const stalled = await gateway.dial();
    stalled.write(await realClientHello(nameOf(appId, `-${PORT}`)));
    await readAll(stalled);
    expect(gateway.observer.refusals).toEqual(['handshake-timeout']);
  });

  it('a flood of silent connections: the oldest give way, a real client gets through', async () => {
    await gateway.stop();
    gateway = await GatewayFixture.start(fleet.table, certificates, { maxPendingHellos: 5 });
    const flood = await Promise.all(Array.from({ length: 20 }, () => gateway.dial()));
    for (const socket of flood) socket.on('error', () => undefined).resume();
    const socket = await gateway.connect(nameOf(appId, `-${PORT}`));
    expect(await readUntil(socket, '\n')).toBe('one\n');
    socket.destroy();
    for (const each of flood) each.destroy();
    expect(gateway.observer.refusals.filter((reason) => reason === 'too-many-connections').length).toBeGreaterThan(10);
  });

  it('more connections than its limit', async () => {
    await gateway.stop();
    gateway = await GatewayFixture.start(fleet.table, certificates, { maxConnections: 1 });
    const first = await gateway.connect(nameOf(appId, `-${PORT}`));
    await expect(gateway.connect(nameOf(appId, `-${PORT}`))).rejects.toThrow();
    expect(gateway.observer.refusals).toEqual(['too-many-connections']);
    first.destroy();
  });

  it('idle connections only for so long', async () => {
    await gateway.stop();
    gateway = await GatewayFixture.start(fleet.table, certificates, { idleTimeoutMs: 100 });
    const socket = await gateway.connect(nameOf(appId, `-${PORT}`));
    socket.on('error', () => undefined).resume();
    await once(socket, 'close');
    await expect.poll(() => gateway.observer.open).toBe(0);
  });

  it('clients that vanish', async () => {
    const connection = await gateway.dial();
    const socket = await gateway.connect(nameOf(appId, `-${PORT}`), { socket: connection });
    await readUntil(socket, '\n');
    socket.on('error', () => undefined);
    connection.resetAndDestroy();
    await expect.poll(() => gateway.observer.open).toBe(0);
    await expect.poll(() => apps[0]?.sockets.size).toBe(0);
  });
});

describe('certificate files', () => {
  it('that were replaced are taken up when both fit, and the old pair is served until then', async () => {
    const next = mintServerCertificate({ ca, dnsNames: [`*.${BASE_DOMAIN}`], now });
    const before = gateway.certificate.summary.fingerprint;
    expect(await gateway.certificate.reload()).toBe(false);
    await writeFile(gateway.certFile, next.certificate);
    await expect(gateway.certificate.reload()).rejects.toMatchObject({ code: 'certificate-unusable' });
    const during = await gateway.connect(nameOf(appId, `-${PORT}`));
    expect(fingerprintOf(during)).toBe(before);
    during.destroy();
    await writeFile(gateway.keyFile, next.privateKey);
    expect(await gateway.certificate.reload()).toBe(true);
    const after = await gateway.connect(nameOf(appId, `-${PORT}`));
    expect(fingerprintOf(after)).not.toBe(before);
    after.destroy();
  });

  it('of another domain, or no files, are refused', async () => {
    const other = mintServerCertificate({ ca, dnsNames: ['*.example.test'], now });
    await writeFile(gateway.certFile, other.certificate);
    await writeFile(gateway.keyFile, other.privateKey);
    await expect(gateway.certificate.reload()).rejects.toThrow(/not valid for/);
    await writeFile(gateway.keyFile, 'SECRET');
    await expect(gateway.certificate.reload()).rejects.toThrow(/holds no PEM private key/);
  });
});

function fingerprintOf(socket: TLSSocket): string {
  return socket.getPeerCertificate().fingerprint256.replaceAll(':', '').toLowerCase();
}

describe('drain', () => {
  it('lets a connection end by itself, and cuts one that does not', async () => {
    const ending = await gateway.connect(nameOf(appId, `-${PORT}`), { allowHalfOpen: true } as object);
    const staying = await gateway.connect(nameOf(appId, `-${PORT}`));
    staying.on('error', () => undefined).resume();
    await Promise.all([readUntil(ending, '\n'), once(staying, 'data')]);
    const drained = gateway.proxy.drain(300);
    await expect(gateway.dial()).rejects.toThrow(/ECONNREFUSED/);
    ending.end('done');
    expect((await readAll(ending)).toString()).toBe('donebye\n');
    expect(await drained).toBe(1);
  });
});
