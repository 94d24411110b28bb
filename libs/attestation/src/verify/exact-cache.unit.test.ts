import { describe, expect, it } from 'vitest';
import { ExactCache } from './exact-cache.js';

const bytes = (...values: readonly number[]): Uint8Array => new Uint8Array(values);

describe('ExactCache', () => {
  it('finds a value by exact bytes only, whatever the index', () => {
    const cache = new ExactCache<string>(4);
    cache.keep('i', bytes(1, 2, 3), 'value');
    expect(cache.find('i', bytes(1, 2, 3))).toBe('value');
    for (const near of [bytes(1, 2, 4), bytes(1, 2), bytes(1, 2, 3, 0), bytes()]) {
      expect(cache.find('i', near)).toBeUndefined();
    }
    expect(cache.find('j', bytes(1, 2, 3))).toBeUndefined();
  });

  it('keeps a copy: later changes of the input change nothing', () => {
    const cache = new ExactCache<string>(4);
    const input = bytes(1, 2, 3);
    cache.keep('i', input, 'value');
    input.fill(9);
    expect(cache.find('i', bytes(1, 2, 3))).toBe('value');
    expect(cache.find('i', input)).toBeUndefined();
  });

  it('is bounded, and the least recently used entry leaves first', () => {
    const cache = new ExactCache<number>(2);
    cache.keep('a', bytes(1), 1);
    cache.keep('b', bytes(2), 2);
    expect(cache.find('a', bytes(1))).toBe(1);
    cache.keep('c', bytes(3), 3);
    expect([cache.find('a', bytes(1)), cache.find('b', bytes(2)), cache.find('c', bytes(3))]).toEqual([
      1,
      undefined,
      3,
    ]);
  });

  it('gives way to a newer entry of the same index, and keeps nothing with no room', () => {
    const cache = new ExactCache<number>(2);
    cache.keep('a', bytes(1), 1);
    cache.keep('a', bytes(2), 2);
    expect([cache.find('a', bytes(1)), cache.find('a', bytes(2))]).toEqual([undefined, 2]);
    const none = new ExactCache<number>(0);
    none.keep('a', bytes(1), 1);
    expect(none.find('a', bytes(1))).toBeUndefined();
  });

  it('gives up what is stale, and only that', () => {
    const cache = new ExactCache<number>(3);
    for (const value of [1, 2, 3]) cache.keep(`${value}`, bytes(value), value);
    cache.forget((value) => value !== 2);
    expect([1, 2, 3].map((value) => cache.find(`${value}`, bytes(value)))).toEqual([undefined, 2, undefined]);
  });
});
