/**
 * The one list of promises an event store keeps, run against the in-memory twin and against JetStream. Needs Vitest.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { type AuthoredEvent, canonicalBytes, EventRejectedError } from '@vouch/domain';
import {
  type EventStore,
  EventStoreUnavailableError,
  type ReadOptions,
  type StoredEvent,
  StreamWentBackError,
} from '@vouch/eventstore';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { strangerAuthor, type TestAuthors } from './test-authors.js';

/** A store to be tested, and what a test needs to break it. */
export interface StoreUnderTest {
  readonly store: EventStore;
  readonly authors: TestAuthors;
  /** Stores bytes as they are, as whoever controls the broker could. */
  injectRaw(subject: string, bytes: Uint8Array): Promise<void>;
  /** The next append is stored but its acknowledgement is lost. */
  loseNextAck(): void;
  /** While true, the store does not answer. */
  setUnavailable(unavailable: boolean): Promise<void>;
  close(): Promise<void>;
}

const newId = () => randomBytes(20).toString('hex');

export function describeEventStore(name: string, open: () => Promise<StoreUnderTest>): void {
  describe(name, () => {
    let under: StoreUnderTest;
    let store: EventStore;
    /** Position before the test: the log may be shared. */
    let start: number;

    beforeEach(async () => {
      under = await open();
      store = under.store;
      start = await store.lastSeq();
    });
    afterEach(() => under.close());

    const registered = (appId: string, label = 'one', id: string = randomUUID()): AuthoredEvent<'app.registered'> =>
      under.authors.event(
        under.authors.of('control-api'),
        'app.registered',
        { appId, name: label, owner: 'test' },
        { id },
      );
    const append = async (event: AuthoredEvent, expected: number): Promise<number> => {
      const outcome = await store.append(event, expected);
      if (!outcome.ok) throw new Error(`conflict at ${outcome.lastSeq}`);
      return outcome.seq;
    };
    const fill = async (count: number, appId = newId()): Promise<number[]> => {
      const seqs: number[] = [];
      for (let index = 0; index < count; index += 1) {
        seqs.push(await append(registered(appId, `n${index}`), seqs.at(-1) ?? 0));
      }
      return seqs;
    };
    const collect = async (options: Partial<ReadOptions> = {}): Promise<StoredEvent[]> => {
      const events: StoredEvent[] = [];
      for await (const event of store.read({ fromSeq: start + 1, follow: false, ...options })) events.push(event);
      return events;
    };

    describe('append', () => {
      it('stores the exact bytes at the next position', async () => {
        const event = registered(newId());
        expect(await store.append(event, 0)).toEqual({ ok: true, seq: start + 1, duplicate: false });
        expect(await store.lastSeq()).toBe(start + 1);
        const [stored] = await store.readSubject(event.envelope.subject);
        expect(stored).toMatchObject({ seq: start + 1, subject: event.envelope.subject, envelope: event.envelope });
        expect(Buffer.from(stored?.bytes ?? []).equals(event.bytes)).toBe(true);
      });

      it('takes the position in the whole log as the expected one, not a count per subject', async () => {
        const appId = newId();
        const [first] = await fill(1, appId);
        await fill(3);
        expect(await store.append(registered(appId, 'two'), first ?? 0)).toMatchObject({ ok: true, seq: start + 5 });
      });

      it('answers a conflict as a value that names the last position, and stores nothing', async () => {
        const appId = newId();
        const seqs = await fill(2, appId);
        const last = seqs.at(-1) ?? 0;
        for (const stale of [0, seqs[0] ?? 0]) {
          expect(await store.append(registered(appId, 'late'), stale)).toEqual({
            ok: false,
            code: 'conflict',
            lastSeq: last,
          });
        }
        expect(await store.lastSeq()).toBe(last);
      });

      it('recognises its own stored event when it is appended again', async () => {
        const event = registered(newId());
        const seq = await append(event, 0);
        expect(await store.append(event, 0)).toEqual({ ok: true, seq, duplicate: true });
        expect(await store.readSubject(event.envelope.subject)).toHaveLength(1);
      });

      it('recognises it even after others have followed', async () => {
        const appId = newId();
        const event = registered(appId);
        const seq = await append(event, 0);
        await append(registered(appId, 'two'), seq);
        expect(await store.append(event, 0)).toEqual({ ok: true, seq, duplicate: true });
      });

      it('lets exactly one of many racing writers win', async () => {
        for (let round = 0; round < 5; round += 1) {
          const appId = newId();
          const outcomes = await Promise.all(
            Array.from({ length: 8 }, (_, writer) => store.append(registered(appId, `writer ${writer}`), 0)),
          );
          expect(outcomes.filter(({ ok }) => ok)).toHaveLength(1);
          expect(await store.readSubject(`evt.app.${appId}`)).toHaveLength(1);
        }
      });

      it('reports success when the acknowledgement was lost, and stores once', async () => {
        const event = registered(newId());
        under.loseNextAck();
        expect(await store.append(event, 0)).toEqual({ ok: true, seq: start + 1, duplicate: true });
        expect(await store.readSubject(event.envelope.subject)).toHaveLength(1);
      });

      it('throws a retryable error when the store does not answer, and the same append succeeds later', async () => {
        const event = registered(newId());
        await under.setUnavailable(true);
        await expect(store.append(event, 0)).rejects.toThrow(EventStoreUnavailableError);
        await expect(store.append(event, 0)).rejects.toMatchObject({
          code: 'event-store-unavailable',
          retryable: true,
        });
        await expect(store.lastSeq()).rejects.toThrow(EventStoreUnavailableError);
        await under.setUnavailable(false);
        expect(await store.append(event, 0)).toMatchObject({ ok: true });
        expect(await store.readSubject(event.envelope.subject)).toHaveLength(1);
      });

      it('gives up, and stores nothing, when the expected position is beyond the log', async () => {
        await expect(store.append(registered(newId()), start + 1000)).rejects.toThrow(EventStoreUnavailableError);
        expect(await store.lastSeq()).toBe(start);
      });

      it('refuses an event that readers would not accept, before it reaches the log', async () => {
        const data = { appId: newId(), name: 'x', owner: 'test' };
        const forged = under.authors.event(strangerAuthor('control-api'), 'app.registered', data);
        await expect(store.append(forged, 0)).rejects.toThrow(EventRejectedError);
        expect(await store.lastSeq()).toBe(start);
      });

      it.each([-1, 0.5, Number.NaN])('refuses %s as a position', async (position) => {
        await expect(store.append(registered(newId()), position)).rejects.toThrow(RangeError);
      });
    });

    describe('one subject', () => {
      it('is read whole and in order', async () => {
        const appId = newId();
        const seqs = await fill(5, appId);
        await fill(2);
        const events = await store.readSubject(`evt.app.${appId}`);
        expect(events.map(({ seq }) => seq)).toEqual(seqs);
        expect((await store.lastOf(`evt.app.${appId}`))?.seq).toBe(seqs.at(-1));
        expect(events[0]?.storedAt).toBeInstanceOf(Date);
        expect(Number.isNaN(events[0]?.storedAt.getTime())).toBe(false);
      });

      it('may be empty', async () => {
        expect(await store.readSubject(`evt.app.${newId()}`)).toEqual([]);
        expect(await store.lastOf(`evt.app.${newId()}`)).toBeUndefined();
      });

      it('refuses an event its author did not sign', async () => {
        const subject = `evt.app.${newId()}`;
        const genuine = registered(subject.slice('evt.app.'.length));
        const { envelope } = genuine;
        const forged = canonicalBytes({ ...envelope, data: { ...envelope.data, owner: 'mallory' } });
        await under.injectRaw(subject, forged);
        await expect(store.readSubject(subject)).rejects.toThrow(EventRejectedError);
        await expect(store.lastOf(subject)).rejects.toMatchObject({ code: 'event-signature-invalid' });
      });
    });

    describe('read', () => {
      it('delivers every event in order, once', async () => {
        const seqs = await fill(12);
        expect((await collect()).map(({ seq }) => seq)).toEqual(seqs);
      });

      it('starts in the middle and ends at the end', async () => {
        const seqs = await fill(6);
        expect((await collect({ fromSeq: start + 4 })).map(({ seq }) => seq)).toEqual(seqs.slice(3));
        expect(await collect({ fromSeq: start + 7 })).toEqual([]);
      });

      it('filters by one subject, several, and wildcards', async () => {
        const [a, b, c] = [newId(), newId(), newId()];
        await fill(2, a);
        await fill(2, b);
        await fill(2, c);
        const seqsOf = async (...filters: string[]) => (await collect({ filters })).map(({ seq }) => seq - start);
        expect(await seqsOf(`evt.app.${b}`)).toEqual([3, 4]);
        expect(await seqsOf(`evt.app.${a}`, `evt.app.${c}`)).toEqual([1, 2, 5, 6]);
        expect(await seqsOf('evt.app.>')).toEqual([1, 2, 3, 4, 5, 6]);
        expect(await seqsOf('evt.*.*')).toEqual([1, 2, 3, 4, 5, 6]);
        expect(await seqsOf('evt.host.>')).toEqual([]);
      });

      it('follows what is appended later, until aborted', async () => {
        const before = await fill(3);
        const abort = new AbortController();
        const seen: number[] = [];
        const reading = (async () => {
          for await (const { seq } of store.read({ fromSeq: start + 1, follow: true, signal: abort.signal })) {
            seen.push(seq);
            if (seen.length === 8) abort.abort();
          }
        })();
        const later = await fill(5);
        await reading;
        expect(seen).toEqual([...before, ...later]);
      });

      it('ends quietly when aborted while it waits', async () => {
        const abort = new AbortController();
        const reading = collect({ follow: true, signal: abort.signal });
        await fill(1);
        abort.abort();
        expect((await reading).length).toBeLessThanOrEqual(1);
      });

      it('can be left early and taken up again without loss', async () => {
        const seqs = await fill(10);
        const seen: number[] = [];
        while (seen.length < seqs.length) {
          for await (const { seq } of store.read({ fromSeq: (seen.at(-1) ?? start) + 1, follow: false })) {
            seen.push(seq);
            if (seen.length % 3 === 0) break;
          }
        }
        expect(seen).toEqual(seqs);
      });

      it('stops at a forged event, after everything before it', async () => {
        const [genuine] = await fill(1);
        const event = registered(newId());
        const signature = `${event.envelope.sig.startsWith('A') ? 'B' : 'A'}${event.envelope.sig.slice(1)}`;
        await under.injectRaw(event.envelope.subject, canonicalBytes({ ...event.envelope, sig: signature }));
        await fill(1);
        const seen: number[] = [];
        const reading = (async () => {
          for await (const { seq } of store.read({ fromSeq: start + 1, follow: true })) seen.push(seq);
        })();
        await expect(reading).rejects.toMatchObject({ code: 'event-signature-invalid' });
        expect(seen).toEqual([genuine]);
      });

      it('stops at bytes that are no event, and at an event under another subject', async () => {
        await under.injectRaw(`evt.app.${newId()}`, new TextEncoder().encode('{"not":"an event"}'));
        await expect(collect()).rejects.toMatchObject({ code: 'event-malformed' });
        start = await store.lastSeq();
        await under.injectRaw(`evt.app.${newId()}`, registered(newId()).bytes);
        await expect(collect()).rejects.toMatchObject({ code: 'event-subject-mismatch' });
      });

      it('refuses a log that ends before what is already known', async () => {
        const [seq] = await fill(1);
        const reading = collect({ fromSeq: start + 10, follow: true });
        await expect(reading).rejects.toThrow(StreamWentBackError);
        await expect(reading).rejects.toMatchObject({ lastSeq: seq, knownSeq: start + 9, retryable: false });
      });

      it.each([0, -1, 1.5])('refuses %s as a first position', async (fromSeq) => {
        await expect(collect({ fromSeq })).rejects.toThrow(RangeError);
      });
    });
  });
}
