import { FakeClock } from '@vouch/testkit';
import { beforeEach, describe, expect, it } from 'vitest';
import { MemoryChallengeTable } from '../testing/memory-challenge-table.js';
import { CHALLENGE_LIFE_MS, ChallengeBook } from './challenge-book.js';

const place = { hostId: 'host-1', instanceId: '1b'.repeat(20), epoch: 2 };
let table: MemoryChallengeTable;
let clock: FakeClock;
let book: ChallengeBook;
let replica: ChallengeBook;

beforeEach(() => {
  table = new MemoryChallengeTable();
  clock = new FakeClock();
  book = new ChallengeBook(table, clock.now);
  replica = new ChallengeBook(table, clock.now);
});

describe('a challenge', () => {
  it('is 32 bytes that are new each time, for 60 s', async () => {
    const first = await book.issue(place);
    expect(first.challenge).toMatch(/^[0-9a-f]{64}$/);
    expect(first.expiresAt).toBe('2026-01-01T00:01:00.000Z');
    expect((await book.issue(place)).challenge).not.toBe(first.challenge);
  });

  it('serves one request, on any replica', async () => {
    const { challenge } = await book.issue(place);
    expect(await replica.use(challenge, place, 'r1')).toEqual({ ok: true });
    expect(await book.use(challenge, place, 'r2')).toMatchObject({
      ok: false,
      reason: expect.stringMatching(/used by another/),
    });
  });

  it('serves that request again after a crash, even when its time is over by then', async () => {
    const { challenge } = await book.issue(place);
    await book.use(challenge, place, 'r1');
    clock.advance(CHALLENGE_LIFE_MS + 1);
    expect(await replica.use(challenge, place, 'r1')).toEqual({ ok: true });
  });

  it('has one winner when two requests use it at once', async () => {
    const { challenge } = await book.issue(place);
    const uses = await Promise.all([book.use(challenge, place, 'r1'), replica.use(challenge, place, 'r2')]);
    expect(uses.filter(({ ok }) => ok)).toHaveLength(1);
  });

  it('is of no use to another host, instance or epoch, and stays usable', async () => {
    const { challenge } = await book.issue(place);
    for (const other of [{ hostId: 'host-2' }, { instanceId: '2c'.repeat(20) }, { epoch: 1 }]) {
      expect(await book.use(challenge, { ...place, ...other }, 'r1')).toMatchObject({
        ok: false,
        reason: expect.stringMatching(/another host/),
      });
    }
    expect(await book.use(challenge, place, 'r1')).toEqual({ ok: true });
  });

  it('expires', async () => {
    const { challenge } = await book.issue(place);
    clock.advance(CHALLENGE_LIFE_MS);
    const early = await book.issue(place);
    clock.advance(1);
    expect(await book.use(challenge, place, 'r1')).toMatchObject({
      ok: false,
      reason: expect.stringMatching(/expired/),
    });
    expect(await book.use(early.challenge, place, 'r1')).toEqual({ ok: true });
  });

  it('that was never given is refused', async () => {
    expect(await book.use('00'.repeat(32), place, 'r1')).toMatchObject({
      ok: false,
      reason: expect.stringMatching(/unknown/),
    });
  });
});
