import { decideHost, evolveHost, type HostCommand, type HostEvent, type HostState, initialHost } from '@vouch/domain';
import { describe, expect, it } from 'vitest';
import { FakeClock } from './fake-clock.js';
import { given } from './given.js';
import { NatsFrameReader } from './nats-frames.js';
import { SeededRandom } from './seeded-random.js';
import { makeTestAuthors } from './test-authors.js';

describe('FakeClock', () => {
  it('moves only when told to', () => {
    const clock = new FakeClock('2026-05-01T00:00:00.000Z');
    clock.advance(1_500);
    expect(clock.now().toISOString()).toBe('2026-05-01T00:00:01.500Z');
    expect(clock.monotonicMs()).toBe(1_500);
  });

  it('a jump of the wall clock leaves monotonic time alone', () => {
    const clock = new FakeClock();
    clock.jump(-60_000);
    expect(clock.now().toISOString()).toBe('2025-12-31T23:59:00.000Z');
    expect(clock.monotonicMs()).toBe(0);
  });
});

describe('SeededRandom', () => {
  it('repeats for one seed and differs for another', () => {
    expect(new SeededRandom(7).hex(40)).toBe(new SeededRandom(7).hex(40));
    expect(new SeededRandom(7).hex(40)).not.toBe(new SeededRandom(8).hex(40));
  });

  it('gives the same bytes whatever the request sizes', () => {
    const whole = new SeededRandom('s').hex(100);
    const pieces = new SeededRandom('s');
    expect([1, 31, 2, 66].map((size) => pieces.hex(size)).join('')).toBe(whole);
  });

  it('makes version 4 UUIDs and numbers below a limit', () => {
    const random = new SeededRandom(1);
    for (let index = 0; index < 200; index += 1) {
      expect(random.uuid()).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      expect(random.below(5)).toBeLessThan(5);
    }
  });
});

describe('given-when-then', () => {
  const decider = { initial: initialHost, decide: decideHost, evolve: evolveHost };
  const registered: HostEvent = {
    type: 'host.registered',
    data: { hostId: 'host-1', driver: 'process', capacity: { vcpu: 4, memoryMiB: 4096 }, unsafe: [] },
  };
  const cordon: HostCommand = { type: 'CordonHost', hostId: 'host-1', reason: 'disk' };

  it('accepts the events a decider gives, and folds them', () => {
    const outcome = given<HostCommand, HostState, HostEvent>(decider, [registered]).when(cordon);
    outcome.thenEvents({ type: 'host.cordoned', data: { hostId: 'host-1', reason: 'disk' } });
    outcome.thenState({ status: 'registered', ...registered.data, cordoned: true, cordonReason: 'disk' });
  });

  it('fails when the decider gives others, or refuses', () => {
    const outcome = given<HostCommand, HostState, HostEvent>(decider, []).when(cordon);
    outcome.thenRefused('host-unknown', 'hostId');
    expect(() => outcome.thenEvents(registered)).toThrow();
    expect(() => outcome.thenRefused('other')).toThrow();
    const accepted = given<HostCommand, HostState, HostEvent>(decider, [registered]).when(cordon);
    expect(() => accepted.thenRefused('host-unknown')).toThrow(/expected refusal/);
    expect(() => accepted.thenEvents()).toThrow();
  });
});

describe('NatsFrameReader', () => {
  const stream = Buffer.from(
    'INFO {"a":1}\r\nMSG evt.a 1 5\r\nhe\r\no\r\nPING\r\nHMSG evt.b 2 $JS.ACK.x 12 14\r\nNATS/1.0\r\n\r\nhi\r\n+OK\r\n',
  );

  it.each([1, 2, 3, 7, 1000])('splits a stream that arrives %s bytes at a time', (size) => {
    const reader = new NatsFrameReader();
    const frames = [];
    for (let at = 0; at < stream.length; at += size) frames.push(...reader.push(stream.subarray(at, at + size)));
    expect(frames.map(({ subject }) => subject)).toEqual(['', 'evt.a', '', 'evt.b', '']);
    expect(frames[1]?.text).toBe('he\r\no\r\n');
    expect(Buffer.concat(frames.map(({ bytes }) => bytes)).equals(stream)).toBe(true);
  });
});

describe('test authors', () => {
  it('have one key each, all in the trust file', () => {
    const authors = makeTestAuthors({ hosts: ['h1'], gateways: [] });
    expect(authors.trust.keys.map(({ service, node }) => `${service}/${node}`)).toEqual([
      'control-api/',
      'kms/',
      'auditor/',
      'host-worker/h1',
    ]);
    expect(() => authors.of('gateway', 'gw-1')).toThrow(RangeError);
  });
});
