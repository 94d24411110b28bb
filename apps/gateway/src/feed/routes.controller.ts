import { Controller, Inject } from '@nestjs/common';
import type { StoredEvent } from '@vouch/eventstore';
import { OnEvents } from '@vouch/platform';
import { GatewayProxy } from '../proxy/gateway-proxy.js';
import type { RoutingTable } from '../routing/routing-table.js';
import { ROUTING_TABLE } from '../tokens.js';
import { LogPosition } from './log-position.js';

/**
 * Folds the log into the routing table. The read is unfiltered, so that a hole in the log or an event of an unknown
 * author stops this node instead of leaving it with wrong routes.
 */
@Controller()
export class RoutesController {
  constructor(
    @Inject(ROUTING_TABLE) private readonly table: RoutingTable,
    private readonly proxy: GatewayProxy,
    private readonly position: LogPosition,
  ) {}

  @OnEvents('evt.>', { ordered: true })
  async apply(event: StoredEvent): Promise<void> {
    const replaced = this.table.apply(event.seq, event.envelope);
    if (replaced !== undefined) this.proxy.cutStale(replaced);
    this.position.reached(event.seq);
  }
}
