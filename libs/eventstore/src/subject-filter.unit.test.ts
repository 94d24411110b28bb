import { describe, expect, it } from 'vitest';
import { matchesAnyFilter, matchesFilter } from './subject-filter.js';

describe('subject filters', () => {
  it.each([
    ['evt.app.a', 'evt.app.a'],
    ['evt.app.a', 'evt.*.a'],
    ['evt.app.a', 'evt.>'],
    ['evt.vm.h.i', 'evt.vm.>'],
    ['evt.vm.h.i', 'evt.*.h.*'],
    ['evt', '>'],
  ])('%s matches %s', (subject, filter) => {
    expect(matchesFilter(subject, filter)).toBe(true);
  });

  it.each([
    ['evt.app.a', 'evt.app'],
    ['evt.app', 'evt.app.>'],
    ['evt.app', 'evt.app.*'],
    ['evt.app.a', 'evt.*'],
    ['evt.app.a', 'evt.apps.a'],
    ['evt.app.a', '>.a'],
  ])('%s does not match %s', (subject, filter) => {
    expect(matchesFilter(subject, filter)).toBe(false);
  });

  it('no filter matches everything', () => {
    expect(matchesAnyFilter('evt.app.a', undefined)).toBe(true);
    expect(matchesAnyFilter('evt.app.a', [])).toBe(true);
    expect(matchesAnyFilter('evt.app.a', ['evt.vm.>', 'evt.host.>'])).toBe(false);
  });
});
