import { type NatsConnection, PermissionViolationError } from '@nats-io/transport-node';
import { eventCatalog } from '@vouch/domain';
import {
  BUCKETS,
  type BucketName,
  type BusUser,
  busUserName,
  CONSUMERS,
  inboxPrefix,
  JetStreamEventStore,
  openBucket,
  STREAMS,
} from '@vouch/eventstore';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeTestAuthors } from './test-authors.js';
import { startTestBus, type TestBus } from './test-bus.js';

/**
 * Every NATS user against every subject of the bus. The table below says who may touch what; it is written out by hand
 * from the design's writer table, not derived from the code that makes the permissions.
 */
const MIGRATION: BusUser = { service: 'migration' };
const CONTROL_API: BusUser = { service: 'control-api', node: '' };
const KMS: BusUser = { service: 'kms', node: '' };
const AUDITOR: BusUser = { service: 'auditor', node: '' };
const host = (node: string): BusUser => ({ service: 'host-worker', node });
const gateway = (node: string): BusUser => ({ service: 'gateway', node });
const HOSTS = ['host-1', 'host-2'];
const GATEWAYS = ['gw-1', 'gw-2'];
const USERS: BusUser[] = [MIGRATION, CONTROL_API, KMS, AUDITOR, ...HOSTS.map(host), ...GATEWAYS.map(gateway)];
const LOG_READERS = [CONTROL_API, KMS, AUDITOR, ...GATEWAYS.map(gateway)];

type Rule = readonly [subject: string, allowed: readonly BusUser[]];

/** Kinds of the writer table; the test fails when the catalog has one that is missing here. */
const WRITERS: Record<string, (node: string) => readonly BusUser[]> = {
  app: () => [CONTROL_API],
  release: () => [CONTROL_API],
  instance: () => [CONTROL_API],
  host: () => [CONTROL_API],
  operation: () => [CONTROL_API],
  vm: (node) => (HOSTS.includes(node) ? [host(node)] : []),
  attestation: (node) => (HOSTS.includes(node) ? [host(node)] : []),
  grant: () => [KMS],
  kms: () => [KMS],
  certificate: () => [KMS],
  policy: () => [KMS],
  dstack: () => [KMS],
  gateway: (node) => (GATEWAYS.includes(node) ? [gateway(node)] : []),
};

function eventRules(): Rule[] {
  return Object.entries(WRITERS).flatMap(([kind, writers]): Rule[] =>
    [...HOSTS, ...GATEWAYS, 'x'].flatMap((id): Rule[] => [
      ...(kind === 'vm' || kind === 'attestation' ? [] : [[`evt.${kind}.${id}`, writers(id)] as const]),
      [`evt.${kind}.${id}.i`, writers(id)],
    ]),
  );
}

function dataRules(): Rule[] {
  return [
    ['evt.unknown.x', []],
    ['evt.x', []],
    ...HOSTS.flatMap((node): Rule[] => [
      [`evt.vm.${node}`, []],
      [`sealed.${node}.i`, [KMS]],
      [`logs.${node}.i`, [host(node)]],
      [`$KV.desired.${node}.i`, [CONTROL_API]],
      [`$KV.hosts.${node}`, [host(node)]],
      [`kms.challenge.${node}`, [host(node)]],
      [`kms.certificate.${node}`, [host(node)]],
    ]),
    ...GATEWAYS.map((node): Rule => [`$KV.gateways.${node}`, [gateway(node)]]),
    ['$KV.addresses.a', [CONTROL_API]],
    ['$KV.challenges.c', [KMS]],
    ['audit.receipt', [KMS]],
    ['_INBOX.x', []],
    ...USERS.map((user): Rule => {
      const repliers = user.service === 'host-worker' ? [KMS] : user.service === 'kms' ? [AUDITOR] : [];
      return [`${inboxPrefix(user)}.n.r`, repliers];
    }),
    ['$SYS.REQ.SERVER.PING', []],
    ['$JS.EVENT.ADVISORY.STREAM.DELETED.EVENTS', []],
    ['elsewhere', []],
  ];
}

function adminRules(): Rule[] {
  const streams = [...Object.keys(STREAMS), ...Object.values(BUCKETS).map(({ name }) => name)];
  return [
    ...streams.flatMap((stream): Rule[] =>
      ['CREATE', 'UPDATE', 'DELETE', 'PURGE', 'RESTORE', 'SNAPSHOT', 'MSG.DELETE', 'PEER.REMOVE', 'LEADER.STEPDOWN']
        .map((verb): Rule => [`$JS.API.STREAM.${verb}.${stream}`, [MIGRATION]])
        .concat([
          [`$JS.API.CONSUMER.DURABLE.CREATE.${stream}.x`, [MIGRATION]],
          [`$JS.API.CONSUMER.PAUSE.${stream}.x`, [MIGRATION]],
          [`$JS.API.CONSUMER.NAMES.${stream}`, [MIGRATION]],
          [`$JS.API.CONSUMER.LIST.${stream}`, [MIGRATION]],
          [`$JS.API.CONSUMER.CREATE.${stream}`, [MIGRATION]],
        ]),
    ),
    ['$JS.API.CONSUMER.DELETE.EVENTS.x', [MIGRATION]],
    ['$JS.API.STREAM.LIST', [MIGRATION]],
    ['$JS.API.STREAM.NAMES', [MIGRATION]],
    ['$JS.API.ACCOUNT.PURGE.x', [MIGRATION]],
    ...Object.entries(CONSUMERS).flatMap(([name, { service }]): Rule[] => {
      const owner: BusUser = { service, node: '' };
      return [
        [`$JS.API.CONSUMER.DELETE.EVENTS.${name}`, [MIGRATION]],
        [`$JS.API.CONSUMER.CREATE.EVENTS.${name}`, [MIGRATION]],
        [`$JS.API.CONSUMER.CREATE.EVENTS.${name}.evt.vm.host-1.>`, [MIGRATION]],
        [`$JS.API.CONSUMER.MSG.NEXT.EVENTS.${name}`, [MIGRATION, owner]],
        [`$JS.API.CONSUMER.INFO.EVENTS.${name}`, [MIGRATION, owner]],
        [`$JS.ACK.EVENTS.${name}.1.1.1.1.0`, [owner]],
        [`$JS.ACK._.hash.EVENTS.${name}.1.1.1.1.0.t`, [owner]],
      ];
    }),
    ['$JS.ACK.EVENTS.x.1.1.1.1.0', []],
  ];
}

function readRules(): Rule[] {
  const readers: Record<BucketName, readonly BusUser[]> = {
    desired: [CONTROL_API],
    hosts: [CONTROL_API],
    addresses: [CONTROL_API],
    challenges: [KMS],
    gateways: [CONTROL_API, ...GATEWAYS.map(gateway)],
  };
  return [
    ['$JS.API.INFO', USERS],
    ['$JS.API.STREAM.MSG.GET.EVENTS', [MIGRATION, ...LOG_READERS]],
    ['$JS.API.CONSUMER.CREATE.EVENTS.n', [MIGRATION, ...LOG_READERS]],
    ['$JS.API.CONSUMER.CREATE.EVENTS.n.evt.>', [MIGRATION, ...LOG_READERS]],
    ['$JS.API.CONSUMER.MSG.NEXT.EVENTS.n', [MIGRATION, ...LOG_READERS]],
    ...HOSTS.flatMap((node): Rule[] =>
      ['vm', 'attestation'].map((kind): Rule => {
        const api = `$JS.API.CONSUMER.CREATE.EVENTS.n.evt.${kind}.${node}.i`;
        return [api, [MIGRATION, ...LOG_READERS, host(node)]];
      }),
    ),
    ...Object.entries(readers).flatMap(([bucket, allowed]): Rule[] => [
      [`$JS.API.STREAM.MSG.GET.KV_${bucket}`, [MIGRATION, ...allowed]],
      [`$JS.API.DIRECT.GET.KV_${bucket}.$KV.${bucket}.x`, [MIGRATION, ...allowed]],
      [`$JS.API.CONSUMER.CREATE.KV_${bucket}.n.$KV.${bucket}.>`, [MIGRATION, ...allowed]],
      [`$JS.API.CONSUMER.CREATE.KV_${bucket}.n`, [MIGRATION]],
      [`$JS.API.DIRECT.GET.KV_${bucket}`, [MIGRATION]],
    ]),
    ...HOSTS.flatMap((node): Rule[] => [
      [`$JS.API.DIRECT.GET.KV_desired.$KV.desired.${node}.i`, [MIGRATION, CONTROL_API, host(node)]],
      [`$JS.API.CONSUMER.CREATE.KV_desired.n.$KV.desired.${node}.>`, [MIGRATION, CONTROL_API, host(node)]],
      [`$JS.API.CONSUMER.CREATE.SEALED.n.sealed.${node}.>`, [MIGRATION, host(node)]],
    ]),
    ['$JS.API.CONSUMER.CREATE.SEALED.n.sealed.>', [MIGRATION]],
    ['$JS.API.CONSUMER.CREATE.SEALED.n', [MIGRATION]],
    ['$JS.API.STREAM.MSG.GET.SEALED', [MIGRATION]],
    ['$JS.API.CONSUMER.CREATE.LOGS.n.logs.>', [MIGRATION, CONTROL_API]],
    ['$JS.API.STREAM.MSG.GET.LOGS', [MIGRATION]],
    ['$JS.API.STREAM.MSG.GET.ADVISORY', [MIGRATION]],
  ];
}

function subscribeRules(): Rule[] {
  return [
    ...['>', '*', '*.>', 'evt.>', 'evt.vm.host-1.>', 'sealed.>', '_INBOX.>', '_INBOX.*.>', '_INBOX.host-worker.>']
      .concat(['$KV.>', '$KV.desired.>', '$JS.>', '$JS.API.>', '$JS.ACK.>', '$JS.EVENT.ADVISORY.>', '$SYS.>', 'kms.>'])
      .map((subject): Rule => [subject, []]),
    ...HOSTS.flatMap((node): Rule[] => [
      [`sealed.${node}.>`, [host(node)]],
      [`kms.challenge.${node}`, [KMS]],
      [`kms.certificate.${node}`, [KMS]],
    ]),
    ['kms.challenge.*', [KMS]],
    ['kms.certificate.*', [KMS]],
    ['audit.receipt', [AUDITOR]],
    ['logs.>', [CONTROL_API]],
    ...USERS.map((user): Rule => [`${inboxPrefix(user)}.>`, [user]]),
  ];
}

describe('NATS permissions', () => {
  let bus: TestBus;
  const connections = new Map<string, NatsConnection>();
  const connectionOf = (user: BusUser): NatsConnection => {
    const connection = connections.get(busUserName(user));
    if (connection === undefined) throw new RangeError(busUserName(user));
    return connection;
  };

  beforeAll(async () => {
    bus = await startTestBus({ hosts: HOSTS, gateways: GATEWAYS });
    for (const user of USERS) connections.set(busUserName(user), await bus.connect(user));
  });
  afterAll(() => bus.stop());

  /** The subjects of `subjects` that the server refuses to `user`. */
  async function refused(
    user: BusUser,
    operation: 'publish' | 'subscription',
    subjects: readonly string[],
  ): Promise<Set<string>> {
    const connection = await bus.connect(user);
    const violations = new Set<string>();
    const watching = (async () => {
      for await (const status of connection.status()) {
        const error = status.type === 'error' ? status.error : undefined;
        if (error instanceof PermissionViolationError && error.operation === operation) violations.add(error.subject);
      }
    })();
    for (const subject of subjects) {
      if (operation === 'publish') connection.publish(subject, '{}');
      else connection.subscribe(subject, { callback: () => undefined });
    }
    // The server answers in order: after this round trip every refusal has arrived.
    await connection.flush();
    await connection.close();
    await watching;
    return violations;
  }

  it('the table covers every kind of the event catalog', () => {
    const kinds = new Set(Object.values(eventCatalog).map(({ kind }) => kind));
    expect([...kinds].filter((kind) => !(kind in WRITERS))).toEqual([]);
  });

  describe.each([
    ['publish', () => [...eventRules(), ...dataRules(), ...adminRules(), ...readRules()]],
    ['subscription', subscribeRules],
  ] as const)('%s', (operation, rules) => {
    it.each(USERS.map((user) => [busUserName(user), user] as const))('%s', async (name, user) => {
      const table = rules();
      // A stolen credential may try anything, so try every subject; `deny` is what must come back.
      const forbidden = table.filter(([, allowed]) => !allowed.some((other) => busUserName(other) === name));
      const permitted = table.filter(([, allowed]) => allowed.some((other) => busUserName(other) === name));
      const violations = await refused(
        user,
        operation,
        forbidden.map(([subject]) => subject),
      );
      expect(forbidden.map(([subject]) => subject).filter((subject) => !violations.has(subject))).toEqual([]);
      expect(forbidden.length).toBeGreaterThan(20);
      // The twin: what it may do is not refused. Acknowledgements and admin requests with a body of {} change nothing.
      const probes = permitted.map(([subject]) => subject).filter((subject) => !/\.(DELETE|PURGE)\./.test(subject));
      expect([...(await refused(user, operation, probes))]).toEqual([]);
    });
  });

  it('refuses a connection without a key and with an unknown key', async () => {
    const { connect } = await import('@nats-io/transport-node');
    const { connectBus, createBusUserKey } = await import('@vouch/eventstore');
    await expect(connect({ servers: bus.url, reconnect: false })).rejects.toThrow(/authorization/i);
    const stranger = { servers: bus.url, seed: createBusUserKey().seed, name: 'stranger', inboxPrefix: '_INBOX.kms' };
    await expect(connectBus(stranger)).rejects.toThrow(/authorization/i);
  });

  describe('a host cannot reach past its own subjects through the body of a request', () => {
    const attempts: [string, Record<string, unknown>][] = [
      ['another filter', { name: 'n', filter_subject: 'evt.vm.host-2.>' }],
      ['no filter', { name: 'n' }],
      ['several filters', { name: 'n', filter_subjects: ['evt.>'] }],
      ['a filter and several', { name: 'n', filter_subject: 'evt.vm.host-1.>', filter_subjects: ['evt.>'] }],
      ['a durable of another', { name: 'n', durable_name: 'kms-attestation', filter_subject: 'evt.vm.host-1.>' }],
    ];
    it.each(attempts)('%s', async (_, config) => {
      const reply = await connectionOf(host('host-1')).request(
        '$JS.API.CONSUMER.CREATE.EVENTS.n.evt.vm.host-1.>',
        JSON.stringify({
          stream_name: 'EVENTS',
          action: 'create',
          config: {
            ack_policy: 'none',
            deliver_policy: 'all',
            deliver_subject: '_INBOX.host-worker.host-1.n',
            ...config,
          },
        }),
      );
      expect(reply.json()).toMatchObject({ error: { code: 400 } });
    });

    it('another stream', async () => {
      const reply = await connectionOf(host('host-1')).request(
        '$JS.API.CONSUMER.CREATE.KV_desired.n.$KV.desired.host-1.>',
        JSON.stringify({ stream_name: 'EVENTS', config: { name: 'n', filter_subject: '$KV.desired.host-1.>' } }),
      );
      expect(reply.json()).toMatchObject({ error: { code: 400 } });
    });

    it('another consumer: the name in the subject is the one that counts', async () => {
      const before = (await connectionOf(KMS).request('$JS.API.CONSUMER.INFO.EVENTS.kms-attestation')).json();
      await connectionOf(host('host-1')).request(
        '$JS.API.CONSUMER.CREATE.EVENTS.n.evt.vm.host-1.>',
        JSON.stringify({
          stream_name: 'EVENTS',
          config: { name: 'kms-attestation', filter_subject: 'evt.vm.host-1.>', ack_policy: 'none' },
        }),
      );
      const after = (await connectionOf(KMS).request('$JS.API.CONSUMER.INFO.EVENTS.kms-attestation')).json();
      expect((after as { config: unknown }).config).toEqual((before as { config: unknown }).config);
    });
  });

  it('a host worker whose store is asked to write for another host is refused, at once and for good', async () => {
    const authors = makeTestAuthors();
    const store = new JetStreamEventStore({
      connection: connectionOf(host('host-1')),
      directory: authors.directory,
      readMode: 'filtered-consumer',
    });
    const place = { hostId: 'host-2', instanceId: 'ab'.repeat(20), epoch: 1 };
    const event = authors.event(authors.of('host-worker', 'host-2'), 'vm.removed', place);
    await expect(store.append(event, 0)).rejects.toMatchObject({ code: 'event-store-forbidden', retryable: false });
    await expect(store.readSubject(event.envelope.subject)).rejects.toMatchObject({ code: 'event-store-forbidden' });
    await expect(store.read({ fromSeq: 1, follow: false })[Symbol.asyncIterator]().next()).rejects.toMatchObject({
      code: 'event-store-forbidden',
    });
  });

  it('a host worker sees its own desired guests and no others', async () => {
    const written = await openBucket(connectionOf(CONTROL_API), 'desired');
    await written.put('host-1.i', 'one');
    await written.put('host-2.i', 'two');
    const own = await openBucket(connectionOf(host('host-1')), 'desired');
    expect((await own.get('host-1.i'))?.string()).toBe('one');
    await expect(own.get('host-2.i')).rejects.toThrow(/permissions violation/i);
    await expect(own.watch({ key: 'host-2.>' })).rejects.toThrow(/permissions violation/i);
    await expect(own.watch()).rejects.toThrow(/permissions violation/i);
  });

  it('what permissions cannot stop: an answer of the server sent to a foreign subject; readers stop at it', async () => {
    const start = JSON.parse((await connectionOf(KMS).request('$JS.API.STREAM.INFO.EVENTS')).string()) as {
      state: { last_seq: number };
    };
    // The acknowledgement goes wherever the publisher says, here into the log under a subject that is not its own.
    connectionOf(host('host-1')).publish('logs.host-1.i', 'x', { reply: `evt.app.${'ab'.repeat(20)}` });
    await connectionOf(host('host-1')).flush();
    const store = new JetStreamEventStore({
      connection: connectionOf(CONTROL_API),
      directory: makeTestAuthors().directory,
    });
    const reading = store.read({ fromSeq: start.state.last_seq + 1, follow: true })[Symbol.asyncIterator]();
    await expect(reading.next()).rejects.toMatchObject({ code: 'event-malformed', retryable: false });
  });
});
