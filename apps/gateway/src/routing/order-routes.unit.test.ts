import { describe, expect, it } from 'vitest';
import { orderRoutes } from './order-routes.js';
import type { Route } from './routing-table.js';

const route = (instanceId: string): Route => ({
  appId: 'a',
  instanceId,
  hostId: 'h1',
  epoch: 1,
  address: '10.0.0.1',
  ports: [],
});
const routes = ['1', '2', '3', '4'].map(route);
/** A small generator with a fixed seed: the same choices in every run. */
function generator(): () => number {
  let state = 42;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  };
}

describe('order of routes', () => {
  it('names every route once', () => {
    const order = orderRoutes(routes, () => 0, generator());
    expect(order.map(({ instanceId }) => instanceId).sort()).toEqual(['1', '2', '3', '4']);
    expect(orderRoutes([], () => 0, generator())).toEqual([]);
    expect(orderRoutes(routes.slice(0, 1), () => 9, generator())).toEqual(routes.slice(0, 1));
  });

  it('puts the less busy of the first two in front', () => {
    const two = routes.slice(0, 2);
    const busy = ({ instanceId }: Route) => (instanceId === '1' ? 5 : 1);
    const random = generator();
    for (let round = 0; round < 50; round += 1) {
      expect(orderRoutes(two, busy, random)[0]?.instanceId).toBe('2');
    }
  });

  it('keeps the load even', () => {
    const load = new Map<string, number>();
    const random = generator();
    for (let round = 0; round < 4_000; round += 1) {
      const [first] = orderRoutes(routes, ({ instanceId }) => load.get(instanceId) ?? 0, random);
      if (first !== undefined) load.set(first.instanceId, (load.get(first.instanceId) ?? 0) + 1);
    }
    for (const count of load.values()) expect(Math.abs(count - 1_000)).toBeLessThan(20);
  });

  it('does not change its input', () => {
    const input = [...routes];
    orderRoutes(input, () => 0, generator());
    expect(input).toEqual(routes);
  });
});
