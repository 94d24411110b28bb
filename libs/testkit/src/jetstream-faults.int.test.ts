import { randomBytes, randomUUID } from 'node:crypto';
import { type AuthoredEvent, type EventType } from '@vouch/domain';
import { EventStoreUnavailableError, JetStreamEventStore } from '@vouch/eventstore';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { FaultProxy } from './fault-proxy.js';
import { makeTestAuthors, type TestAuthors } from './test-authors.js';
import { startTestBus, type TestBus } from './test-bus.js';

let bus: TestBus;
let authors: TestAuthors;

beforeAll(async () => {
  bus = await startTestBus();
  authors = makeTestAuthors();
});
afterAll(() => bus.stop());

const newId = () => randomBytes(20).toString('hex');

function registered(appId = newId(), name = 'one'): AuthoredEvent<'app.registered'> {
  return authors.event(authors.of('control-api'), 'app.registered', { appId, name, owner: 'test' });
}

async function storeOf(servers?: string, limits: { requestTimeoutMs?: number; deadlineMs?: number } = {}) {
  const connection = await bus.connect({ service: 'control-api', node: '' }, servers);
  return { connection, store: new JetStreamEventStore({ connection, directory: authors.directory, ...limits }) };
}

describe('an append whose outcome is unclear', () => {
  let proxy: FaultProxy;
  beforeEach(async () => {
    proxy = await FaultProxy.start(bus.port);
  });
  afterEach(() => proxy.stop());

  it('stored, acknowledgement lost: success, marked as a duplicate, stored once', async () => {
    const { store } = await storeOf(proxy.url, { requestTimeoutMs: 300 });
    const event = registered();
    proxy.dropAcks(1);
    expect(await store.append(event, 0)).toMatchObject({ ok: true, duplicate: true });
    expect(proxy.dropped).toBe(1);
    expect(await store.readSubject(event.envelope.subject)).toHaveLength(1);
  });

  it('stored, acknowledgement and the answers after it lost: success once an answer gets through', async () => {
    const { store } = await storeOf(proxy.url, { requestTimeoutMs: 200 });
    const event = registered();
    proxy.dropReplies(3, ({ subject }) => subject.startsWith('_INBOX.control-api'));
    expect(await store.append(event, 0)).toMatchObject({ ok: true, duplicate: true });
    expect(proxy.dropped).toBe(3);
    expect(await store.readSubject(event.envelope.subject)).toHaveLength(1);
  });

  it('not stored, because nothing arrived: published again', async () => {
    const { store } = await storeOf(proxy.url, { requestTimeoutMs: 200, deadlineMs: 10_000 });
    const event = registered();
    proxy.swallowRequests(true);
    const appending = store.append(event, 0);
    setTimeout(() => {
      // What the proxy swallowed is gone; a fresh connection starts a clean protocol stream.
      proxy.heal();
      proxy.cut();
    }, 300);
    expect(await appending).toMatchObject({ ok: true });
    expect(await store.readSubject(event.envelope.subject)).toHaveLength(1);
  });

  it("lost to a rival while the acknowledgement was on its way: a conflict, and the rival's event stands", async () => {
    const { store } = await storeOf(proxy.url, { requestTimeoutMs: 300 });
    const { store: rival } = await storeOf();
    const appId = newId();
    proxy.dropReplies(1, ({ subject }) => subject.startsWith('_INBOX.control-api'));
    const won = await rival.append(registered(appId, 'rival'), 0);
    expect(await store.append(registered(appId, 'mine'), 0)).toEqual({
      ok: false,
      code: 'conflict',
      lastSeq: won.ok ? won.seq : 0,
    });
    expect((await store.lastOf(`evt.app.${appId}`))?.envelope.data).toMatchObject({ name: 'rival' });
  });

  it('no answer at all: a retryable error after the deadline; the same event is then taken once', async () => {
    const { store } = await storeOf(proxy.url, { requestTimeoutMs: 150, deadlineMs: 700 });
    const event = registered();
    proxy.swallowReplies(true);
    await expect(store.append(event, 0)).rejects.toThrow(EventStoreUnavailableError);
    proxy.heal();
    proxy.cut();
    expect(await store.append(event, 0)).toMatchObject({ ok: true, duplicate: true });
    expect(await store.readSubject(event.envelope.subject)).toHaveLength(1);
  });

  it('connections cut again and again under eight writers: every event once, in every subject', async () => {
    const { store } = await storeOf(proxy.url, { requestTimeoutMs: 1_000, deadlineMs: 30_000 });
    const subjects = Array.from({ length: 8 }, newId);
    await Promise.all(
      subjects.map(async (appId) => {
        let last = 0;
        for (let index = 0; index < 40; index += 1) {
          const outcome = await store.append(registered(appId, `n${index}`), last);
          if (!outcome.ok) throw new Error(`conflict with nobody at ${outcome.lastSeq}`);
          last = outcome.seq;
          if (appId === subjects[0] && index % 8 === 4) proxy.cut();
        }
      }),
    );
    for (const appId of subjects) {
      const events = await store.readSubject(`evt.app.${appId}`);
      expect(events.map(({ envelope }) => (envelope.data as { name: string }).name)).toEqual(
        Array.from({ length: 40 }, (_, index) => `n${index}`),
      );
    }
  });
});

describe('a reader', () => {
  const fill = async (store: JetStreamEventStore, count: number) => {
    for (let done = 0; done < count; done += 50) {
      const batch = Array.from({ length: Math.min(50, count - done) }, () => store.append(registered(), 0));
      await Promise.all(batch);
    }
  };

  it('misses and repeats nothing while its connections are cut and its deliveries lost', async () => {
    const proxy = await FaultProxy.start(bus.port);
    const { store } = await storeOf(proxy.url);
    const { store: direct } = await storeOf();
    const start = await direct.lastSeq();
    const total = 400;
    const writing = fill(direct, total);
    const seqs: number[] = [];
    for await (const { seq } of store.read({ fromSeq: start + 1, follow: true })) {
      seqs.push(seq);
      if (seqs.length % 80 === 40) proxy.cut();
      if (seqs.length % 80 === 79) proxy.dropReplies(1, ({ text }) => text.includes('"specversion"'));
      if (seqs.length === total) break;
    }
    await writing;
    await proxy.stop();
    expect(seqs).toEqual(Array.from({ length: total }, (_, index) => start + 1 + index));
  });

  it('notices a single delivery lost on an open connection', async () => {
    const proxy = await FaultProxy.start(bus.port);
    const { store } = await storeOf(proxy.url);
    const start = await store.lastSeq();
    await fill(store, 30);
    proxy.dropReplies(1, ({ subject, text }) => subject.startsWith('evt.app.') && text.includes('"specversion"'));
    const seqs: number[] = [];
    for await (const { seq } of store.read({ fromSeq: start + 1, follow: false })) seqs.push(seq);
    expect(proxy.dropped).toBe(1);
    expect(seqs).toEqual(Array.from({ length: 30 }, (_, index) => start + 1 + index));
    await proxy.stop();
  });

  it('goes on after the server was killed and came back; acknowledged events are all there', async () => {
    const { store, connection } = await storeOf();
    const start = await store.lastSeq();
    const acked: number[] = [];
    const seen: number[] = [];
    const reading = (async () => {
      for await (const { seq } of store.read({ fromSeq: start + 1, follow: true })) {
        seen.push(seq);
        if (seen.length === 120) break;
      }
    })();
    for (let index = 0; index < 120; index += 1) {
      if (index === 60) await bus.crashAndRestart();
      const outcome = await store.append(registered(), 0);
      if (outcome.ok) acked.push(outcome.seq);
    }
    await reading;
    expect(acked).toEqual(Array.from({ length: 120 }, (_, index) => start + 1 + index));
    expect(seen).toEqual(acked);
    expect(connection.isClosed()).toBe(false);
  });

  it('takes from the server no faster than its caller takes from it', async () => {
    const { store: writer } = await storeOf();
    const start = await writer.lastSeq();
    await fill(writer, 700);
    const { store, connection } = await storeOf();
    const reading = store.read({ fromSeq: start + 1, follow: false })[Symbol.asyncIterator]();
    await reading.next();
    await connection.flush();
    expect(connection.stats().inMsgs).toBeLessThan(300);
    let count = 1;
    while (!((await reading.next()).done ?? false)) count += 1;
    expect(count).toBe(700);
  });
});

describe('a host worker, which reads through filtered consumers', () => {
  const storeOfHost = async (servers?: string) => {
    const connection = await bus.connect({ service: 'host-worker', node: 'host-1' }, servers);
    return new JetStreamEventStore({
      connection,
      directory: authors.directory,
      readMode: 'filtered-consumer',
      requestTimeoutMs: 1_000,
    });
  };
  const progressed = (instanceId: string, step: string, id = randomUUID()): AuthoredEvent<EventType> =>
    authors.event(
      authors.of('host-worker', 'host-1'),
      'vm.boot-progressed',
      { hostId: 'host-1', instanceId, epoch: 1, step, detail: '' },
      { id },
    );

  it('appends, reads its subject, repeats and conflicts like everyone else', async () => {
    const store = await storeOfHost();
    const instanceId = newId();
    const subject = `evt.vm.host-1.${instanceId}`;
    expect(await store.readSubject(subject)).toEqual([]);
    expect(await store.lastOf(subject)).toBeUndefined();
    const events = Array.from({ length: 40 }, (_, index) => progressed(instanceId, `s${index}`));
    const seqs: number[] = [];
    for (const event of events) {
      const outcome = await store.append(event, seqs.at(-1) ?? 0);
      if (outcome.ok) seqs.push(outcome.seq);
    }
    const read = await store.readSubject(subject);
    expect(read.map(({ seq }) => seq)).toEqual(seqs);
    expect(read.map(({ envelope }) => envelope.id)).toEqual(events.map(({ envelope }) => envelope.id));
    expect((await store.lastOf(subject))?.seq).toBe(seqs.at(-1));
    const [first] = events;
    if (first === undefined) throw new Error('no events');
    expect(await store.append(first, 0)).toEqual({ ok: true, seq: seqs[0], duplicate: true });
    expect(await store.append(progressed(instanceId, 'late'), 0)).toEqual({
      ok: false,
      code: 'conflict',
      lastSeq: seqs.at(-1),
    });
    expect(await store.lastSeq()).toBeGreaterThanOrEqual(seqs.at(-1) ?? 0);
  });

  it('settles a lost acknowledgement', async () => {
    const proxy = await FaultProxy.start(bus.port);
    const store = await storeOfHost(proxy.url);
    const instanceId = newId();
    proxy.dropAcks(1);
    expect(await store.append(progressed(instanceId, 'one'), 0)).toMatchObject({ ok: true, duplicate: true });
    expect(await store.readSubject(`evt.vm.host-1.${instanceId}`)).toHaveLength(1);
    await proxy.stop();
  });
});
