import { Inject, Injectable } from '@nestjs/common';
import type { GatewayConfig } from './gateway-config.js';
import { GatewayMetrics } from './gateway-metrics.js';
import { GatewayProxy } from './proxy/gateway-proxy.js';
import { listRoutes, type RoutesListing } from './routes-listing.js';
import type { RoutingTable } from './routing/routing-table.js';
import { GATEWAY_CONFIG, ROUTING_TABLE } from './tokens.js';

/** What operators and metrics see of routes and open connections. */
@Injectable()
export class RoutesView {
  constructor(
    @Inject(GATEWAY_CONFIG) private readonly config: GatewayConfig,
    @Inject(ROUTING_TABLE) private readonly table: RoutingTable,
    private readonly proxy: GatewayProxy,
    metrics: GatewayMetrics,
  ) {
    metrics.observeAtScrape({
      reportCarried: () => proxy.reportCarried(),
      countRoutes: () =>
        table.instances().filter(({ instanceId }) => typeof table.routeOf(instanceId) === 'object').length,
    });
  }

  listing(): RoutesListing {
    return listRoutes(this.table, this.config.GATEWAY_BASE_DOMAIN, (id) => this.proxy.connectionsTo(id));
  }
}
