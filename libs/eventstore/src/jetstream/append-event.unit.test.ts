import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { JetStreamApiError } from '@nats-io/jetstream';
import { NoRespondersError, PermissionViolationError, RequestError, TimeoutError } from '@nats-io/transport-node';
import { type AuthoredEvent, authorEvent, type EventAuthor, KeyDirectory, keyIdOf } from '@vouch/domain';
import { describe, expect, it } from 'vitest';
import { EventStoreForbiddenError, EventStoreUnavailableError } from '../event-store-errors.js';
import { appendEvent } from './append-event.js';
import type { SubjectReader } from './subject-reader.js';

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const rawKey = publicKey.export({ format: 'jwk' }).x ?? '';
const directory = new KeyDirectory({
  version: 1,
  keys: [{ service: 'control-api', node: '', publicKey: rawKey }],
  log: { origin: 'test', publicKey: rawKey },
});
const author: EventAuthor = { service: 'control-api', node: '', keyid: keyIdOf(publicKey), privateKey };

function registered(name: string): AuthoredEvent<'app.registered'> {
  return authorEvent(author, {
    id: randomUUID(),
    type: 'app.registered',
    data: { appId: 'ab'.repeat(20), name, owner: 'test' },
    time: new Date('2026-01-01T00:00:00.000Z'),
    actor: 'test',
    cause: '',
    corr: '',
  });
}

/** A log of one subject. Each planned fault either stores first (lost answer) or does not (lost request), then throws. */
class FaultyLog implements SubjectReader {
  readonly stored: { seq: number; bytes: Uint8Array }[] = [];
  publishes = 0;
  closed = false;
  readonly connection = { isClosed: () => this.closed };
  #nextSeq = 1;

  constructor(private readonly faults: { readonly error: Error; readonly stores: boolean }[] = []) {}

  put(event: AuthoredEvent): number {
    this.stored.push({ seq: this.#nextSeq, bytes: event.bytes });
    this.#nextSeq += 7;
    return this.#nextSeq - 7;
  }

  async publish(_: string, bytes: Uint8Array, expectedLastSeq: number): Promise<number> {
    this.publishes += 1;
    const fault = this.faults.shift();
    if (fault !== undefined && !fault.stores) throw fault.error;
    if ((this.stored.at(-1)?.seq ?? 0) !== expectedLastSeq) throw apiError(10071);
    const seq = this.put({ bytes } as AuthoredEvent);
    if (fault !== undefined) throw fault.error;
    return seq;
  }

  async last(subject: string) {
    return (await this.after(subject, 0)).at(-1);
  }

  async firstAfter(subject: string, afterSeq: number) {
    return (await this.after(subject, afterSeq)).at(0);
  }

  async after(subject: string, afterSeq: number) {
    return this.stored
      .filter(({ seq }) => seq > afterSeq)
      .map(({ seq, bytes }) => ({ seq, subject, storedAt: new Date(0), bytes }));
  }
}

function apiError(code: number): JetStreamApiError {
  return new JetStreamApiError({ code: 400, err_code: code, description: 'any text' });
}

/** Everything a server or client was seen to answer when an append went wrong (eventing §3). */
const errors: [string, () => Error][] = [
  ['10071 wrong last sequence', () => apiError(10071)],
  ['10164 wrong last sequence, unknown', () => apiError(10164)],
  ['10063 wrong last sequence, other text', () => apiError(10063)],
  ['10039 JetStream not enabled', () => apiError(10039)],
  ['10008 temporarily unavailable', () => apiError(10008)],
  ['a time-out', () => new TimeoutError()],
  ['no responders', () => new RequestError('x', { cause: new NoRespondersError('x') })],
  ['an error without a code', () => new Error("batch didn't contain number of published messages")],
];

const LIMITS = { deadlineMs: 2_000 };
const append = (log: FaultyLog, event: AuthoredEvent, expected: number, limits = LIMITS) =>
  appendEvent(log, log, directory, event, expected, limits);

describe.each(errors)('%s', (_, error) => {
  it('after the event was stored: success, a duplicate', async () => {
    const log = new FaultyLog([{ error: error(), stores: true }]);
    expect(await append(log, registered('mine'), 0)).toEqual({ ok: true, seq: 1, duplicate: true });
    expect(log.stored).toHaveLength(1);
  });

  it('before it was stored: published again', async () => {
    const log = new FaultyLog([{ error: error(), stores: false }]);
    expect(await append(log, registered('mine'), 0)).toEqual({ ok: true, seq: 1, duplicate: false });
    expect(log.publishes).toBe(2);
  });

  it('when a rival was first: a conflict', async () => {
    const log = new FaultyLog([{ error: error(), stores: false }]);
    log.put(registered('rival'));
    expect(await append(log, registered('mine'), 0)).toEqual({ ok: false, code: 'conflict', lastSeq: 1 });
    expect(log.publishes).toBe(1);
  });

  it('when mine was first and others followed: success', async () => {
    const log = new FaultyLog([{ error: error(), stores: false }]);
    const mine = registered('mine');
    log.put(mine);
    log.put(registered('next'));
    expect(await append(log, mine, 0)).toEqual({ ok: true, seq: 1, duplicate: true });
  });
});

describe('an append', () => {
  it('gives up at the deadline with the last error as the cause', async () => {
    const error = new TimeoutError();
    const log = new FaultyLog(Array.from({ length: 100 }, () => ({ error, stores: false })));
    const outcome = append(log, registered('mine'), 0, { deadlineMs: 60 });
    await expect(outcome).rejects.toThrow(EventStoreUnavailableError);
    await expect(outcome).rejects.toMatchObject({ retryable: true, cause: error });
    expect(log.stored).toEqual([]);
  });

  it('gives up at once when the connection is closed', async () => {
    const log = new FaultyLog([{ error: new TimeoutError(), stores: false }]);
    log.closed = true;
    await expect(append(log, registered('mine'), 0)).rejects.toThrow(EventStoreUnavailableError);
    expect(log.publishes).toBe(1);
  });

  it('never repeats what the bus forbids', async () => {
    const violation = new PermissionViolationError('no', 'publish', 'evt.app.x');
    const log = new FaultyLog([{ error: new RequestError('no', { cause: violation }), stores: false }]);
    await expect(append(log, registered('mine'), 0)).rejects.toThrow(EventStoreForbiddenError);
    expect(log.publishes).toBe(1);
  });

  it('does not take an unsigned event with its own id for its own', async () => {
    const log = new FaultyLog([{ error: new TimeoutError(), stores: false }]);
    const mine = registered('mine');
    const forged = Buffer.from(mine.bytes).toString().replace('"owner":"test"', '"owner":"evil"');
    log.put({ bytes: new TextEncoder().encode(forged) } as AuthoredEvent);
    await expect(append(log, mine, 0)).rejects.toMatchObject({ code: 'event-signature-invalid' });
  });
});
