import { Injectable } from '@nestjs/common';
import { Metrics, PinoLogger } from '@vouch/platform';
import { Counter, Gauge } from 'prom-client';
import type { ProxyObserver } from './proxy/proxy-options.js';
import type { RefusalReason } from './proxy/refusal.js';

/** Asked when metrics are read. */
interface ScrapeSource {
  reportCarried(): void;
  countRoutes(): number;
}

/** Counts and logs what the proxy reports. Labels are bounded: no names, no ids. */
@Injectable()
export class GatewayMetrics implements ProxyObserver {
  readonly #connections: Counter<'mode'>;
  readonly #open: Gauge<'mode'>;
  readonly #bytes: Counter<'direction'>;
  readonly #refused: Counter<'reason'>;
  readonly #unreachable: Counter;
  readonly #certificateExpiry: Gauge;
  #source: ScrapeSource | undefined;

  constructor(
    metrics: Metrics,
    private readonly logger: PinoLogger,
  ) {
    const registers = [metrics.registry];
    logger.setContext('proxy');
    this.#connections = new Counter({
      name: 'vouch_gateway_connections_total',
      help: 'Connections carried to an instance, by mode',
      labelNames: ['mode'],
      registers,
    });
    this.#open = new Gauge({
      name: 'vouch_gateway_connections_open',
      help: 'Connections being carried now, by mode',
      labelNames: ['mode'],
      registers,
    });
    this.#bytes = new Counter({
      name: 'vouch_gateway_bytes_total',
      help: 'Bytes carried, by direction (to-app, from-app)',
      labelNames: ['direction'],
      registers,
      collect: () => this.#source?.reportCarried(),
    });
    this.#refused = new Counter({
      name: 'vouch_gateway_refused_total',
      help: 'Connections not carried, by reason',
      labelNames: ['reason'],
      registers,
    });
    this.#unreachable = new Counter({
      name: 'vouch_gateway_upstream_failures_total',
      help: 'Instances that could not be reached for a connection',
      registers,
    });
    const routes: Gauge = new Gauge({
      name: 'vouch_gateway_routes',
      help: 'Instances that are routed now',
      registers,
      collect: () => routes.set(this.#source?.countRoutes() ?? 0),
    });
    this.#certificateExpiry = new Gauge({
      name: 'vouch_gateway_certificate_expiry_seconds',
      help: 'End of the wildcard certificate, seconds since the epoch',
      registers,
    });
  }

  /** Asks `source` at each scrape: bytes of open connections, and how many instances are routed. */
  observeAtScrape(source: ScrapeSource): void {
    this.#source = source;
  }

  certificateEnds(at: Date): void {
    this.#certificateExpiry.set(at.getTime() / 1000);
  }

  opened(mode: 'terminate' | 'passthrough'): void {
    this.#connections.inc({ mode });
    this.#open.inc({ mode });
  }

  closed(mode: 'terminate' | 'passthrough'): void {
    this.#open.dec({ mode });
  }

  carried(toApp: number, fromApp: number): void {
    this.#bytes.inc({ direction: 'to-app' }, toApp);
    this.#bytes.inc({ direction: 'from-app' }, fromApp);
  }

  refused(reason: RefusalReason): void {
    this.#refused.inc({ reason });
    this.logger.debug({ reason }, 'connection refused');
  }

  unreachable(instanceId: string, address: string, port: number, error: Error): void {
    this.#unreachable.inc();
    this.logger.warn({ instanceId, address, port, err: error.message }, 'instance not reachable');
  }

  failed(error: unknown): void {
    this.logger.error({ err: error }, 'a connection ended with an unexpected error');
  }
}
