import type { Route } from './routing-table.js';

/**
 * The order in which to try routes: the less busy of two picked at random first ("power of two choices"), the others in
 * random order behind it as fall-backs. `connections` counts open connections of a route; `random` gives [0, 1).
 */
export function orderRoutes(
  routes: readonly Route[],
  connections: (route: Route) => number,
  random: () => number,
): Route[] {
  const order = [...routes];
  for (let index = order.length - 1; index > 0; index -= 1) {
    const other = Math.floor(random() * (index + 1));
    const [a, b] = [order[index], order[other]];
    if (a !== undefined && b !== undefined) [order[index], order[other]] = [b, a];
  }
  const [first, second, ...rest] = order;
  if (first === undefined || second === undefined) return order;
  return connections(second) < connections(first) ? [second, first, ...rest] : order;
}
