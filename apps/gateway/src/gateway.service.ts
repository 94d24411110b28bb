import { Inject, Injectable } from '@nestjs/common';
import { ConfigError, PinoLogger } from '@vouch/platform';
import { CatchUp } from './feed/catch-up.js';
import type { GatewayConfig } from './gateway-config.js';
import { NodeAnnouncement } from './node-announcement.js';
import { GatewayProxy } from './proxy/gateway-proxy.js';
import { CertificateWatch } from './tls/certificate-watch.js';
import { GATEWAY_CONFIG } from './tokens.js';

/**
 * Brings the node up in order: routes first, traffic after. Before the table has caught up it may still hold routes the
 * log took back later, so nothing is accepted until then.
 */
@Injectable()
export class GatewayService {
  constructor(
    @Inject(GATEWAY_CONFIG) private readonly config: GatewayConfig,
    private readonly catchUp: CatchUp,
    private readonly announcement: NodeAnnouncement,
    private readonly certificateWatch: CertificateWatch,
    private readonly proxy: GatewayProxy,
    private readonly logger: PinoLogger,
  ) {
    logger.setContext('gateway');
  }

  /** Resolves when traffic is accepted. Throws the fatal error of the feed, ConfigError, or EventStoreUnavailableError. */
  async start(): Promise<void> {
    const position = await this.catchUp.done();
    await this.announcement.announce();
    this.certificateWatch.start();
    const { host, port } = this.config.GATEWAY_LISTEN;
    const bound = await this.proxy.listen(host, port).catch((error: NodeJS.ErrnoException) => {
      throw new ConfigError([`GATEWAY_LISTEN: cannot listen there (${error.code})`]);
    });
    this.logger.info({ host, port: bound, baseDomain: this.config.GATEWAY_BASE_DOMAIN, position }, 'listening');
  }

  /** Stops accepting and lets open connections end. */
  async stop(): Promise<void> {
    this.certificateWatch.stop();
    const cut = await this.proxy.drain(this.config.GATEWAY_DRAIN_SECONDS * 1000);
    this.logger.info({ cut }, 'drained');
  }
}
