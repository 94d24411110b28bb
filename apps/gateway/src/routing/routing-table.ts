import type { EventEnvelope, EventType } from '@vouch/domain';
import { isGuestAddress } from './guest-address.js';

/** Where an instance can be reached, taken whole from the grant of its current epoch. */
export interface Route {
  readonly appId: string;
  readonly instanceId: string;
  readonly hostId: string;
  readonly epoch: number;
  readonly address: string;
  /** Ports that may be reached; empty: any. */
  readonly ports: readonly number[];
}

/** Why a known instance has no route, in the order in which it is asked. */
export type NoRouteReason = 'not-placed' | 'stop-requested' | 'not-granted' | 'address-refused' | 'not-healthy';

/** What the log says of one instance, as far as routes need it. */
export interface InstanceView {
  readonly appId: string;
  readonly instanceId: string;
  /** Current placement, or null before the first. */
  readonly placement: { readonly hostId: string; readonly epoch: number } | null;
  readonly stopRequested: boolean;
  /** Grant of the current placement only. */
  readonly grant: { readonly address: string; readonly ports: readonly number[] } | null;
  /** True when the guest said so in the current placement and nothing ended it since. */
  readonly healthy: boolean;
}

export type RouteLookup =
  | { readonly ok: true; readonly routes: readonly Route[] }
  | { readonly ok: false; readonly code: 'id-unknown' | 'no-route' | 'port-not-granted' };

export interface RoutingOptions {
  /** Routes to the loopback block of process guests; development only. */
  readonly unsafeProcessGuest: boolean;
}

/**
 * Applies one event to the view of its instance; undefined when the instance is not known (or not any more). Facts of
 * another epoch or host than the current placement change nothing: a late grant or report never opens a route.
 */
function evolveInstanceView(view: InstanceView | undefined, event: RoutedEvent): InstanceView | undefined {
  if (event.type === 'instance.created') {
    const { instanceId, appId } = event.data;
    return view ?? { appId, instanceId, placement: null, stopRequested: false, grant: null, healthy: false };
  }
  if (view === undefined) return undefined;
  switch (event.type) {
    case 'instance.placed': {
      const { hostId, epoch } = event.data;
      if (view.placement !== null && epoch <= view.placement.epoch) return view;
      return { ...view, placement: { hostId, epoch }, grant: null, healthy: false };
    }
    case 'instance.stop-requested':
    case 'instance.remove-requested':
      return { ...view, stopRequested: true };
    case 'grant.issued': {
      const { address, ports, appId } = event.data;
      if (!isCurrent(view, event.data) || appId !== view.appId) return view;
      return { ...view, grant: { address, ports } };
    }
    case 'vm.app-healthy':
      return isCurrent(view, event.data) ? { ...view, healthy: true } : view;
    case 'vm.launched':
      return isCurrent(view, event.data) ? { ...view, healthy: false } : view;
    case 'vm.launch-failed':
    case 'vm.exited':
      // What attested is gone; a guest launched again in this epoch has to attest again.
      return isCurrent(view, event.data) ? { ...view, healthy: false, grant: null } : view;
    case 'vm.removed':
      if (!isCurrent(view, event.data)) return view;
      return view.stopRequested ? undefined : { ...view, healthy: false, grant: null };
  }
}

/** The route of an instance, or why it has none. */
function routeOf(view: InstanceView, options: RoutingOptions): Route | NoRouteReason {
  const { appId, instanceId, placement, grant } = view;
  if (placement === null) return 'not-placed';
  if (view.stopRequested) return 'stop-requested';
  if (grant === null) return 'not-granted';
  if (!isGuestAddress(grant.address, options.unsafeProcessGuest)) return 'address-refused';
  if (!view.healthy) return 'not-healthy';
  return { appId, instanceId, ...placement, address: grant.address, ports: grant.ports };
}

const ROUTED_TYPES = [
  'instance.created',
  'instance.placed',
  'instance.stop-requested',
  'instance.remove-requested',
  'grant.issued',
  'vm.launched',
  'vm.app-healthy',
  'vm.launch-failed',
  'vm.exited',
  'vm.removed',
] as const satisfies readonly EventType[];

/** The part of an envelope routing reads; the event's author has been verified by the reader of the log. */
export type EventFact<T extends EventType = EventType> = T extends EventType
  ? Pick<EventEnvelope<T>, 'type' | 'data'>
  : never;
type RoutedEvent = EventFact<(typeof ROUTED_TYPES)[number]>;

function isRouted(event: EventFact): event is RoutedEvent {
  return (ROUTED_TYPES as readonly EventType[]).includes(event.type);
}

/**
 * Routes of a fleet, folded from the log alone: the same events give the same table on every node and after every
 * restart. A route exists only for an instance that is placed, not asked to stop, granted its keys and healthy, all in
 * its current epoch.
 */
export class RoutingTable {
  readonly #views = new Map<string, InstanceView>();
  readonly #byApp = new Map<string, Set<string>>();
  readonly #appNames = new Map<string, string>();
  #position = 0;

  constructor(private readonly options: RoutingOptions) {}

  /** Log position of the last event applied. */
  get position(): number {
    return this.#position;
  }

  /** Applies the event at `seq`. Returns the id of the instance whose placement was replaced or ended, if any. */
  apply(seq: number, event: EventFact): string | undefined {
    this.#position = seq;
    if (event.type === 'app.registered') this.#appNames.set(event.data.appId, event.data.name);
    if (!isRouted(event)) return undefined;
    const { instanceId } = event.data;
    const before = this.#views.get(instanceId);
    const after = evolveInstanceView(before, event);
    if (after === undefined) this.#forget(before);
    else this.#keep(after);
    return before?.placement != null && after?.placement !== before.placement ? instanceId : undefined;
  }

  /** Routes for an instance id, or for every routed instance of an app id, that allow the port. */
  lookup(id: string, port: number): RouteLookup {
    const ids = this.#views.has(id) ? [id] : [...(this.#byApp.get(id) ?? [])];
    if (ids.length === 0) return { ok: false, code: 'id-unknown' };
    const routes = ids.map((each) => this.routeOf(each)).filter((route) => typeof route === 'object');
    if (routes.length === 0) return { ok: false, code: 'no-route' };
    const allowed = routes.filter(({ ports }) => ports.length === 0 || ports.includes(port));
    return allowed.length === 0 ? { ok: false, code: 'port-not-granted' } : { ok: true, routes: allowed };
  }

  routeOf(instanceId: string): Route | NoRouteReason | undefined {
    const view = this.#views.get(instanceId);
    return view === undefined ? undefined : routeOf(view, this.options);
  }

  /** Every known instance, in order of its id. */
  instances(): InstanceView[] {
    return [...this.#views.values()].sort((a, b) => (a.instanceId < b.instanceId ? -1 : 1));
  }

  appName(appId: string): string | undefined {
    return this.#appNames.get(appId);
  }

  #keep(view: InstanceView): void {
    this.#views.set(view.instanceId, view);
    const instances = this.#byApp.get(view.appId) ?? new Set();
    this.#byApp.set(view.appId, instances.add(view.instanceId));
  }

  #forget(view: InstanceView | undefined): void {
    if (view === undefined) return;
    this.#views.delete(view.instanceId);
    const instances = this.#byApp.get(view.appId);
    instances?.delete(view.instanceId);
    if (instances?.size === 0) this.#byApp.delete(view.appId);
  }
}

function isCurrent(view: InstanceView, fact: { readonly hostId: string; readonly epoch: number }): boolean {
  return view.placement?.epoch === fact.epoch && view.placement.hostId === fact.hostId;
}
