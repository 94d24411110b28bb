import { Module } from '@nestjs/common';
import { COMMON_CONFIG, type CommonConfig, ConfigError, PlatformModule } from '@vouch/platform';
import { CatchUp } from './feed/catch-up.js';
import { LogPosition } from './feed/log-position.js';
import { RoutesController } from './feed/routes.controller.js';
import { GatewayService } from './gateway.service.js';
import { type GatewayConfig, readGatewayConfig } from './gateway-config.js';
import { GatewayMetrics } from './gateway-metrics.js';
import { NodeAnnouncement } from './node-announcement.js';
import { GatewayProxy } from './proxy/gateway-proxy.js';
import { DEFAULT_LIMITS } from './proxy/proxy-options.js';
import { RoutesView } from './routes-view.js';
import { RoutingTable } from './routing/routing-table.js';
import { CertificateWatch } from './tls/certificate-watch.js';
import { CertificateUnusableError, ServerCertificate } from './tls/server-certificate.js';
import { GATEWAY_CONFIG, ROUTING_TABLE, SERVER_CERTIFICATE } from './tokens.js';

@Module({
  imports: [PlatformModule.forService({ service: 'gateway' })],
  controllers: [RoutesController],
  providers: [
    { provide: GATEWAY_CONFIG, useFactory: () => readGatewayConfig() },
    {
      provide: ROUTING_TABLE,
      useFactory: (common: CommonConfig) =>
        new RoutingTable({ unsafeProcessGuest: common.VOUCH_MODE === 'development' }),
      inject: [COMMON_CONFIG],
    },
    { provide: SERVER_CERTIFICATE, useFactory: loadCertificate, inject: [GATEWAY_CONFIG] },
    {
      provide: GatewayProxy,
      useFactory: (
        config: GatewayConfig,
        table: RoutingTable,
        certificate: ServerCertificate,
        observer: GatewayMetrics,
      ) =>
        new GatewayProxy({
          table,
          certificate,
          baseDomain: config.GATEWAY_BASE_DOMAIN,
          limits: DEFAULT_LIMITS,
          observer,
          random: Math.random,
        }),
      inject: [GATEWAY_CONFIG, ROUTING_TABLE, SERVER_CERTIFICATE, GatewayMetrics],
    },
    CatchUp,
    CertificateWatch,
    LogPosition,
    GatewayMetrics,
    NodeAnnouncement,
    GatewayService,
    RoutesView,
  ],
})
export class GatewayModule {}

async function loadCertificate(config: GatewayConfig): Promise<ServerCertificate> {
  try {
    return await ServerCertificate.load({
      certFile: config.GATEWAY_CERT_FILE,
      keyFile: config.GATEWAY_KEY_FILE,
      baseDomain: config.GATEWAY_BASE_DOMAIN,
    });
  } catch (error) {
    if (!(error instanceof CertificateUnusableError)) throw error;
    throw new ConfigError([`GATEWAY_CERT_FILE, GATEWAY_KEY_FILE: ${error.message}`]);
  }
}
