import { describe, expect, it } from 'vitest';
import { age, outputForm, short, text } from './output.js';

describe('output', () => {
  it('shortens ids and leaves short words alone', () => {
    expect(short('0123456789abcdef')).toBe('0123456789…');
    expect(short('host-a')).toBe('host-a');
  });

  it('shows nothing as a dash, lists with commas', () => {
    expect([text(null), text(''), text([]), text([8080, 8443])]).toEqual(['-', '-', '-', '8080, 8443']);
  });

  it.each([
    [42, '42s'],
    [7 * 60, '7m'],
    [3 * 3600, '3h'],
    [5 * 86_400, '5d'],
  ])('an age of %d s is %s', (seconds, expected) => {
    const now = Date.parse('2026-01-10T00:00:00Z');
    expect(age(new Date(now - seconds * 1000).toISOString(), now)).toBe(expected);
  });

  it('refuses an unknown form', () => {
    expect(() => outputForm('xml')).toThrow(/unknown output form/);
  });
});
