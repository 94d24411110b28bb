import { Inject, Injectable } from '@nestjs/common';
import { canonicalJson, type EventData, subjectOf } from '@vouch/domain';
import type { EventStore } from '@vouch/eventstore';
import { COMMON_CONFIG, type CommonConfig, EVENT_STORE, EventWriter } from '@vouch/platform';
import type { GatewayConfig } from './gateway-config.js';
import { GATEWAY_CONFIG } from './tokens.js';

type Joined = EventData<'gateway.node-joined'>;

/** Says in the log that this node serves a domain, once, and again only when something about it changed. */
@Injectable()
export class NodeAnnouncement {
  constructor(
    @Inject(GATEWAY_CONFIG) private readonly config: GatewayConfig,
    @Inject(COMMON_CONFIG) private readonly common: CommonConfig,
    @Inject(EVENT_STORE) private readonly store: EventStore,
    private readonly writer: EventWriter,
  ) {}

  /** Resolves with true when an event was written. Throws EventStoreUnavailableError. */
  async announce(): Promise<boolean> {
    const joined: Joined = {
      nodeId: this.common.VOUCH_NODE,
      baseDomain: this.config.GATEWAY_BASE_DOMAIN,
      unsafe: this.common.VOUCH_MODE === 'development' ? ['unsafeProcessGuest'] : [],
    };
    for (;;) {
      const last = await this.store.lastOf(subjectOf('gateway.node-joined', joined));
      if (
        last?.envelope.type === 'gateway.node-joined' &&
        canonicalJson(last.envelope.data) === canonicalJson(joined)
      ) {
        return false;
      }
      const outcome = await this.writer.write('gateway.node-joined', joined, {
        actor: `gateway/${joined.nodeId}`,
        expected: last?.seq ?? 0,
      });
      // A conflict means that this node's own event came in between: look again whether it says the same.
      if (outcome.ok) return true;
    }
  }
}
