import { FakeClock } from '@vouch/testkit';
import { describe, expect, it } from 'vitest';
import { HostRateLimit, HostRateLimitedError } from './host-rate-limit.js';

describe('the rate limit of hosts', () => {
  it('lets a burst through, then a steady rate, each host on its own', () => {
    const clock = new FakeClock();
    const limit = new HostRateLimit({ burst: 3, perSecond: 2, monotonicMs: clock.monotonicMs });
    for (let n = 0; n < 3; n += 1) limit.take('host-1');
    expect(() => limit.take('host-1')).toThrow(HostRateLimitedError);
    limit.take('host-2');
    clock.advance(499);
    expect(() => limit.take('host-1')).toThrow(HostRateLimitedError);
    clock.advance(1);
    limit.take('host-1');
    clock.advance(60_000);
    for (let n = 0; n < 3; n += 1) limit.take('host-1');
    expect(() => limit.take('host-1')).toThrow(HostRateLimitedError);
  });
});
