import { describe, expect, it } from 'vitest';
import { CheckLedger, fails, holds } from './check-ledger.js';

describe('the check ledger', () => {
  it('lists what did not run after a failure as skipped', () => {
    const ledger = new CheckLedger(['a', 'b', 'c']);
    ledger.record('a', holds('fine'));
    ledger.record('b', fails('wrong'));
    expect(ledger.close()).toEqual([
      { name: 'a', outcome: 'pass', detail: 'fine' },
      { name: 'b', outcome: 'fail', detail: 'wrong' },
      { name: 'c', outcome: 'skipped', detail: 'not reached: b failed' },
    ]);
  });

  it('cannot be closed as passed while a check never ran', () => {
    const ledger = new CheckLedger(['a', 'b']);
    ledger.record('a', holds('fine'));
    expect(() => ledger.close()).toThrow(/b was neither run nor skipped/);
  });

  it('takes no check twice, after a failure, or off the list', () => {
    const ledger = new CheckLedger(['a', 'b', 'c']);
    ledger.record('a', holds(''));
    expect(() => ledger.record('a', holds(''))).toThrow(/twice/);
    expect(() => ledger.record('d', holds(''))).toThrow(/not on the list/);
    ledger.record('b', fails(''));
    expect(() => ledger.record('c', holds(''))).toThrow(/after b had failed/);
  });
});
