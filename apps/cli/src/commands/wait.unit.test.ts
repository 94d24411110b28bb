import { describe, expect, it } from 'vitest';
import { CliFailure } from '../failure.js';
import { duration } from './wait.js';

describe('duration', () => {
  it.each([
    ['90', 90_000],
    ['90s', 90_000],
    ['5m', 300_000],
    ['250ms', 250],
  ])('%s is %d ms', (text, ms) => expect(duration(text)).toBe(ms));

  it.each(['', '-1', '1h', '1.5s', 'soon'])('refuses %j with a next step', (text) => {
    expect(() => duration(text)).toThrow(CliFailure);
  });
});
