import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Route, RoutingTable } from './routing/routing-table.js';

/** One instance as `GET /routes` shows it: its route, or why it has none. */
type ListedInstance = {
  readonly appId: string;
  readonly appName: string | null;
  readonly instanceId: string;
} & (
  | (Omit<Route, 'appId' | 'instanceId'> & { readonly routed: true; readonly connections: number })
  | { readonly routed: false; readonly reason: string; readonly epoch: number | null }
);

export interface RoutesListing {
  /** Log position the routes are folded from. */
  readonly position: number;
  readonly baseDomain: string;
  readonly instances: readonly ListedInstance[];
}

/** Every known instance, for operators. */
export function listRoutes(
  table: RoutingTable,
  baseDomain: string,
  connectionsTo: (instanceId: string) => number,
): RoutesListing {
  const instances = table.instances().map((view): ListedInstance => {
    const { appId, instanceId } = view;
    const about = { appId, appName: table.appName(appId) ?? null, instanceId };
    const route = table.routeOf(instanceId);
    if (typeof route !== 'object') {
      return { ...about, routed: false, reason: route ?? 'not-placed', epoch: view.placement?.epoch ?? null };
    }
    return { ...route, ...about, routed: true, connections: connectionsTo(instanceId) };
  });
  return { position: table.position, baseDomain, instances };
}

/** `GET /routes` on the health listener; anything else is not found. */
export function answerRoutes(
  listing: () => RoutesListing,
): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    const found = request.url?.split('?')[0] === '/routes';
    response.writeHead(found ? 200 : 404, { 'content-type': 'application/json' });
    response.end(JSON.stringify(found ? listing() : { error: 'no such path' }));
  };
}
