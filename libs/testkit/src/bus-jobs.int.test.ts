import { randomBytes } from 'node:crypto';
import { jetstream } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { type BusUser, type DurableName, JetStreamEventStore, openBucket } from '@vouch/eventstore';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeTestAuthors, type TestAuthors } from './test-authors.js';
import { startTestBus, type TestBus } from './test-bus.js';

/** What each service does on the bus works under exactly its own permissions. */
describe('on the bus', () => {
  let bus: TestBus;
  let authors: TestAuthors;
  const violations: string[] = [];

  /** A connection whose refusals, also the silent ones, are recorded. */
  const connectAs = async (user: BusUser): Promise<NatsConnection> => {
    const connection = await bus.connect(user);
    void (async () => {
      for await (const status of connection.status()) {
        if (status.type === 'error') violations.push(status.error.message);
      }
    })();
    return connection;
  };
  const CONTROL_API: BusUser = { service: 'control-api', node: '' };
  const KMS: BusUser = { service: 'kms', node: '' };
  const AUDITOR: BusUser = { service: 'auditor', node: '' };
  const HOST: BusUser = { service: 'host-worker', node: 'host-1' };
  const GATEWAY: BusUser = { service: 'gateway', node: 'gw-1' };
  const newId = () => randomBytes(20).toString('hex');
  const storeOf = (connection: NatsConnection) => new JetStreamEventStore({ connection, directory: authors.directory });
  const hostStoreOf = (connection: NatsConnection) =>
    new JetStreamEventStore({ connection, directory: authors.directory, readMode: 'filtered-consumer' });
  const registered = () =>
    authors.event(authors.of('control-api'), 'app.registered', { appId: newId(), name: 'n', owner: 'test' });
  const submitted = (instanceId: string) => {
    const place = { hostId: 'host-1', instanceId, epoch: 1 };
    return authors.event(authors.of('host-worker', 'host-1'), 'attestation.submitted', {
      ...place,
      evidence: { quote: 'AAAA', eventLog: '[]', vmConfig: '{}' },
      claims: {
        version: 1,
        challenge: '11'.repeat(32),
        appId: newId(),
        ...place,
        hpkeKey: '22'.repeat(32),
        wireguardKey: '33'.repeat(32),
        tlsKey: '44'.repeat(91),
      },
    });
  };

  beforeAll(async () => {
    bus = await startTestBus();
    authors = makeTestAuthors();
  });
  afterAll(() => bus.stop());

  it.each([
    ['control-api', CONTROL_API],
    ['kms', KMS],
    ['auditor', AUDITOR],
    ['gateway', GATEWAY],
  ] as const)('%s reads the log: whole, filtered, by subject', async (_, user) => {
    const event = registered();
    await storeOf(await bus.connect(CONTROL_API)).append(event, 0);
    const store = storeOf(await connectAs(user));
    expect((await store.readSubject(event.envelope.subject)).map(({ envelope }) => envelope.id)).toEqual([
      event.envelope.id,
    ]);
    for (const filters of [[], ['evt.app.>'], ['evt.app.>', 'evt.grant.>']]) {
      const ids: string[] = [];
      for await (const { envelope } of store.read({ fromSeq: 1, follow: false, filters })) ids.push(envelope.id);
      expect(ids).toContain(event.envelope.id);
    }
    expect(violations).toEqual([]);
  });

  it('host-worker submits an attestation; kms fetches it from its durable, acknowledges, and decides', async () => {
    const instanceId = newId();
    const attestation = submitted(instanceId);
    const stored = await hostStoreOf(await connectAs(HOST)).append(attestation, 0);
    const kms = await connectAs(KMS);
    const [seq] = await takeFrom(kms, 'kms-attestation', 1);
    expect(stored).toMatchObject({ ok: true, seq });
    const place = { hostId: 'host-1', instanceId, epoch: 1 };
    const denied = authors.event(authors.of('kms'), 'grant.denied', {
      ...place,
      requestId: attestation.envelope.id,
      requestSeq: seq ?? 0,
      appId: newId(),
      composeHash: null,
      checks: [{ name: 'quote.chain', outcome: 'fail', detail: 'test' }],
      collateralDigest: null,
      policy: null,
      unsafe: [],
      failedCheck: 'quote.chain',
      reason: 'test',
    });
    expect(await storeOf(kms).append(denied, 0)).toMatchObject({ ok: true, duplicate: false });
    expect(violations).toEqual([]);
  });

  it('auditor reads the whole log, in order', async () => {
    const control = storeOf(await bus.connect(CONTROL_API));
    await Promise.all(Array.from({ length: 5 }, () => control.append(registered(), 0)));
    const last = await control.lastSeq();
    const seqs: number[] = [];
    for await (const { seq } of storeOf(await connectAs(AUDITOR)).read({ fromSeq: 1, follow: false })) seqs.push(seq);
    expect(seqs).toEqual(Array.from({ length: last }, (_, index) => index + 1));
    expect(violations).toEqual([]);
  });

  it('gateway joins under its own id', async () => {
    const connection = await connectAs(GATEWAY);
    const data = { nodeId: 'gw-1', baseDomain: 'apps.test', unsafe: [] };
    const joined = authors.event(authors.of('gateway', 'gw-1'), 'gateway.node-joined', data);
    expect(await storeOf(connection).append(joined, 0)).toMatchObject({ ok: true });
    await (await openBucket(connection, 'gateways')).put('gw-1', '{}');
    expect(violations).toEqual([]);
  });

  it('desired state, heartbeats and addresses travel through the buckets', async () => {
    const control = await connectAs(CONTROL_API);
    const worker = await connectAs(HOST);
    const desired = await openBucket(control, 'desired');
    const watch = await (await openBucket(worker, 'desired')).watch({ key: 'host-1.>' });
    await desired.put('host-1.a', '{"desired":"running"}');
    await desired.put('host-2.b', '{"desired":"running"}');
    await desired.delete('host-1.a');
    const seen: string[] = [];
    for await (const { key, operation } of watch) {
      seen.push(`${operation} ${key}`);
      if (seen.length === 2) break;
    }
    expect(seen).toEqual(['PUT host-1.a', 'DEL host-1.a']);

    await (await openBucket(worker, 'hosts')).put('host-1', '{"hostId":"host-1"}');
    const hosts = await openBucket(control, 'hosts');
    expect((await hosts.get('host-1'))?.json()).toEqual({ hostId: 'host-1' });
    const keys: string[] = [];
    for await (const key of await hosts.keys()) keys.push(key);
    expect(keys).toEqual(['host-1']);

    const addresses = await openBucket(control, 'addresses');
    const revision = await addresses.create('127.0.1.1', 'one');
    await expect(addresses.create('127.0.1.1', 'two')).rejects.toThrow();
    await addresses.update('127.0.1.1', 'three', revision);
    expect(violations).toEqual([]);
  });

  it('a challenge is asked for, used once and known as used', async () => {
    const kms = await connectAs(KMS);
    const challenges = await openBucket(kms, 'challenges');
    kms.subscribe('kms.challenge.*', {
      queue: 'kms',
      callback: (_, msg) => {
        void challenges.create('c1', 'open').then(() => msg.respond('{"challenge":"c1"}'));
      },
    });
    await kms.flush();
    const reply = await (await connectAs(HOST)).request('kms.challenge.host-1', '{}');
    expect(reply.json()).toEqual({ challenge: 'c1' });
    const open = await challenges.get('c1');
    await challenges.update('c1', 'used', open?.revision ?? 0);
    await expect(challenges.update('c1', 'used', open?.revision ?? 0)).rejects.toThrow();
    expect(violations).toEqual([]);
  });

  it('a receipt is asked for, and a sealed payload reaches its host live and again later', async () => {
    const auditor = await connectAs(AUDITOR);
    auditor.subscribe('audit.receipt', { callback: (_, msg) => void msg.respond('{"seq":1}') });
    await auditor.flush();
    const kms = await connectAs(KMS);
    expect((await kms.request('audit.receipt', '{"seq":1}')).json()).toEqual({ seq: 1 });

    const worker = await connectAs(HOST);
    const live = worker.subscribe('sealed.host-1.>', { max: 1 });
    await worker.flush();
    await jetstream(kms).publish('sealed.host-1.i', '{"requestId":"r1"}');
    for await (const msg of live) expect(msg.json()).toEqual({ requestId: 'r1' });

    const later = await jetstream(worker).consumers.get('SEALED', { filter_subjects: 'sealed.host-1.>' });
    const again = await later.next({ expires: 5_000 });
    expect(again?.json()).toEqual({ requestId: 'r1' });
    expect(violations).toEqual([]);
  });

  it('guest logs are kept and read back', async () => {
    await jetstream(await connectAs(HOST)).publish('logs.host-1.i', 'hello');
    const control = await connectAs(CONTROL_API);
    const logs = await jetstream(control).consumers.get('LOGS', { filter_subjects: 'logs.*.i' });
    expect((await logs.next({ expires: 5_000 }))?.string()).toBe('hello');
    expect(violations).toEqual([]);
  });

  /** Fetches and doubly acknowledges `count` messages from a durable consumer; resolves with their positions. */
  async function takeFrom(connection: NatsConnection, durable: DurableName, count: number): Promise<number[]> {
    const consumer = await jetstream(connection).consumers.get('EVENTS', durable);
    const seqs: number[] = [];
    while (seqs.length < count) {
      const msg = await consumer.next({ expires: 5_000 });
      if (msg === null) throw new Error(`${durable}: nothing after ${seqs.length} of ${count}`);
      seqs.push(msg.seq);
      expect(await msg.ackAck()).toBe(true);
    }
    return seqs;
  }
});
