import { describe, expect, it } from 'vitest';
import { type HostRoom, schedule } from './schedule.js';

const room = (hostId: string, freeMemoryMiB: number, freeVcpu: number, more: Partial<HostRoom> = {}): HostRoom => ({
  hostId,
  freeMemoryMiB,
  freeVcpu,
  cordoned: false,
  live: true,
  ...more,
});
const demand = { vcpu: 2, memoryMiB: 1024 };

describe('schedule', () => {
  it('takes most free memory, then vcpu, then the smallest id', () => {
    expect(schedule([room('a', 2048, 8), room('b', 4096, 2)], demand, null)).toMatchObject({ ok: true, hostId: 'b' });
    expect(schedule([room('a', 4096, 2), room('b', 4096, 8)], demand, null)).toMatchObject({ ok: true, hostId: 'b' });
    expect(schedule([room('b', 4096, 8), room('a', 4096, 8)], demand, null)).toMatchObject({ ok: true, hostId: 'a' });
  });
  it('says what stands against each host', () => {
    const hosts = [room('a', 9999, 9, { cordoned: true }), room('b', 9999, 9, { live: false }), room('c', 512, 9)];
    expect(schedule(hosts, demand, null)).toEqual({
      ok: false,
      reason: 'no host for 1024 MiB and 2 vcpu: a is cordoned; b sends no heartbeat; c has 512 MiB and 9 vcpu free',
    });
    expect(schedule([], demand, null)).toMatchObject({
      ok: false,
      reason: expect.stringContaining('no host is registered'),
    });
  });
  it('keeps to the asked-for host, fitting or not', () => {
    const hosts = [room('a', 1024, 2), room('b', 4096, 8)];
    expect(schedule(hosts, demand, 'a')).toMatchObject({ ok: true, hostId: 'a' });
    expect(schedule([room('a', 512, 2), room('b', 4096, 8)], demand, 'a')).toMatchObject({ ok: false });
  });
});
