import { describe, expect, it } from 'vitest';
import { storyOf } from '../testing/fleet-story.js';
import { type EventFact, RoutingTable } from './routing-table.js';

const appId = 'a1'.repeat(20);
const instanceId = 'b2'.repeat(20);
const address = '10.8.0.2';
const one = storyOf({ appId, instanceId, address, ports: [80, 443] });
const deployed = () => [one.registered(), one.created(), one.placed(), one.launched(), one.granted(), one.healthy()];

function tableOf(events: readonly EventFact[], unsafeProcessGuest = false): RoutingTable {
  const table = new RoutingTable({ unsafeProcessGuest });
  for (const [index, event] of events.entries()) table.apply(index + 1, event);
  return table;
}

describe('routing table', () => {
  it('routes an instance by its id and by its app once it is granted and healthy', () => {
    const table = tableOf(deployed());
    const route = { appId, instanceId, hostId: 'host-1', epoch: 1, address, ports: [80, 443] };
    expect(table.lookup(instanceId, 80)).toEqual({ ok: true, routes: [route] });
    expect(table.lookup(appId, 443)).toEqual({ ok: true, routes: [route] });
    expect(table.position).toBe(6);
    expect(table.appName(appId)).toBe('hello');
  });

  it.each([
    ['not placed', [one.created(), one.granted(), one.healthy()], 'not-placed'],
    ['not granted', [one.created(), one.placed(), one.launched(), one.healthy()], 'not-granted'],
    ['not healthy', [one.created(), one.placed(), one.launched(), one.granted()], 'not-healthy'],
    ['asked to stop', [...deployed(), one.stopRequested()], 'stop-requested'],
    ['asked to go', [...deployed(), one.removeRequested()], 'stop-requested'],
    ['exited', [...deployed(), one.exited()], 'not-granted'],
    [
      'exited and healthy without a new grant',
      [...deployed(), one.exited(), one.launched(), one.healthy()],
      'not-granted',
    ],
    ['launched again', [...deployed(), one.launched()], 'not-healthy'],
    ['failed to launch', [...deployed(), one.launchFailed()], 'not-granted'],
    ['placed anew', [...deployed(), one.placed(2, 'host-2')], 'not-granted'],
    ['granted at an old epoch', [...deployed(), one.placed(2), one.granted(1), one.healthy(2)], 'not-granted'],
    ['healthy at an old epoch', [...deployed(), one.placed(2), one.granted(2), one.healthy(1)], 'not-healthy'],
    ['granted at an epoch to come', [one.created(), one.placed(), one.granted(2), one.healthy()], 'not-granted'],
    [
      'granted for another host',
      [...deployed(), one.placed(2, 'host-2'), one.granted(2), one.healthy(2)],
      'not-granted',
    ],
    ['healthy by another host', [one.created(), one.placed(), one.granted(), one.healthy(1, 'host-2')], 'not-healthy'],
    [
      'granted to another app',
      [one.created(), one.placed(), one.granted(1, { appId: 'f0'.repeat(20) }), one.healthy()],
      'not-granted',
    ],
    [
      'granted at 127.0.0.1',
      [one.created(), one.placed(), one.granted(1, { address: '127.0.0.1' }), one.healthy()],
      'address-refused',
    ],
    [
      'placed once more at its epoch',
      [one.created(), one.placed(2), one.placed(1), one.granted(1), one.healthy(1)],
      'not-granted',
    ],
  ])('does not route an instance that is %s', (_name, events, reason) => {
    const table = tableOf(events);
    expect(table.routeOf(instanceId)).toBe(reason);
    expect(table.lookup(instanceId, 80)).toEqual({ ok: false, code: 'no-route' });
    expect(table.lookup(appId, 80)).toEqual({ ok: false, code: 'no-route' });
  });

  it('routes again after a move, and after a relaunch that attested again', () => {
    const moved = tableOf([...deployed(), one.placed(2), one.granted(2), one.healthy(2)]);
    expect(moved.routeOf(instanceId)).toMatchObject({ epoch: 2 });
    const relaunched = tableOf([...deployed(), one.exited(), one.launched(), one.granted(), one.healthy()]);
    expect(relaunched.routeOf(instanceId)).toMatchObject({ epoch: 1 });
  });

  it('knows nothing of an id no instance has, or of facts without an instance', () => {
    const table = tableOf([one.placed(), one.granted(), one.healthy()]);
    expect(table.lookup(instanceId, 80)).toEqual({ ok: false, code: 'id-unknown' });
    expect(table.lookup(appId, 80)).toEqual({ ok: false, code: 'id-unknown' });
  });

  it('forgets an instance that was asked to go and is gone', () => {
    const table = tableOf([...deployed(), one.removeRequested(), one.removed()]);
    expect(table.lookup(instanceId, 80)).toEqual({ ok: false, code: 'id-unknown' });
    expect(table.instances()).toEqual([]);
    expect(tableOf([...deployed(), one.removed()]).routeOf(instanceId)).toBe('not-granted');
  });

  it('allows the ports of the grant only, and any when it names none', () => {
    expect(tableOf(deployed()).lookup(instanceId, 8080)).toEqual({ ok: false, code: 'port-not-granted' });
    const open = tableOf([one.created(), one.placed(), one.granted(1, { ports: [] }), one.healthy()]);
    expect(open.lookup(instanceId, 8080).ok).toBe(true);
  });

  it('routes process guests only as unsafe', () => {
    const process = storyOf({ appId, instanceId, address: '127.64.0.9' });
    const events = [process.created(), process.placed(), process.granted(), process.healthy()];
    expect(tableOf(events).routeOf(instanceId)).toBe('address-refused');
    expect(tableOf(events, true).routeOf(instanceId)).toMatchObject({ address: '127.64.0.9' });
  });

  it('lists the routed instances of an app, those that allow the port', () => {
    const two = storyOf({ appId, instanceId: 'b3'.repeat(20), address: '10.8.0.3', ports: [80] });
    const three = storyOf({ appId, instanceId: 'b4'.repeat(20), address: '10.8.0.4' });
    const table = tableOf([...deployed(), two.created(), two.placed(), two.granted(), two.healthy(), three.created()]);
    const addresses = (port: number) => {
      const lookup = table.lookup(appId, port);
      return lookup.ok ? lookup.routes.map((route) => route.address).sort() : lookup.code;
    };
    expect(addresses(80)).toEqual(['10.8.0.2', '10.8.0.3']);
    expect(addresses(443)).toEqual(['10.8.0.2']);
    expect(addresses(22)).toBe('port-not-granted');
  });

  it('says whose placement was replaced or ended', () => {
    const table = tableOf(deployed());
    expect(table.apply(7, one.healthy())).toBeUndefined();
    expect(table.apply(8, one.placed(1))).toBeUndefined();
    expect(table.apply(9, one.placed(2))).toBe(instanceId);
    expect(table.apply(10, one.stopRequested())).toBeUndefined();
    expect(table.apply(11, one.removed(2))).toBe(instanceId);
  });
});
