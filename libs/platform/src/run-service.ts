import type { RequestListener } from 'node:http';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { MicroserviceOptions, NestMicroservice } from '@nestjs/microservices';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { KeyDirectory, Service } from '@vouch/domain';
import type { EventStore } from '@vouch/eventstore';
import { Logger, PinoLogger } from 'nestjs-pino';
import { asError } from './back-off.js';
import type { CommonConfig } from './config/common-config.js';
import { ConfigError } from './config/config-error.js';
import type { ListenAddress } from './config/read-config.js';
import { HealthServer } from './health/health-server.js';
import { Metrics } from './health/metrics.js';
import { ServiceState } from './health/service-state.js';
import { COMMON_CONFIG, EVENT_STORE, KEY_DIRECTORY, NATS } from './tokens.js';
import { BusRequestTransport } from './transport/bus-request-transport.js';
import { JetStreamTransport } from './transport/jetstream-transport.js';
import { KeepErrorFilter } from './transport/keep-error-filter.js';
import type { TransportParts } from './transport/transport-parts.js';

/** Exit codes (sysexits.h): configuration, unavailable dependency at start, fatal error at work. */
export const EXIT = { config: 78, unavailable: 69, fatal: 70 } as const;

const SHUTDOWN_DEADLINE_MS = 25_000;

export interface RunOptions {
  readonly service: Service;
  /** Fastify adapter for services with an HTTP API of their own; default: one that never listens. */
  readonly adapter?: FastifyAdapter;
  /** Global pipes, filters, OpenAPI and the like, before anything listens. */
  readonly configure?: (app: NestFastifyApplication) => void | Promise<void>;
  /** Address of the HTTP API, read from the application's own configuration; absent: none. */
  readonly listen?: (app: NestFastifyApplication) => ListenAddress;
  /** Answers the paths of the health listener that are not health or metrics; absent: they are not found. */
  readonly healthListenerPaths?: (app: NestFastifyApplication) => RequestListener;
  /** After everything is up, before "ready" is logged: start loops here. */
  readonly started?: (app: NestFastifyApplication) => void | Promise<void>;
  /** First step of the shutdown: stop taking work in. */
  readonly stopping?: (app: NestFastifyApplication) => void | Promise<void>;
}

/**
 * Boots a service and keeps it until SIGTERM, SIGINT or a fatal error, then stops it in order: intake, running work, the
 * HTTP API and the modules' own hooks, and NATS last. A bad configuration ends with one line on stderr and exit 78.
 * Sets the process' exit; never throws.
 */
export async function runService(module: Type, options: RunOptions): Promise<void> {
  let app: NestFastifyApplication;
  try {
    app = await NestFactory.create<NestFastifyApplication>(module, options.adapter ?? new FastifyAdapter(), {
      bufferLogs: true,
      abortOnError: false,
      autoFlushLogs: false,
    });
  } catch (error) {
    process.stderr.write(`vouch ${options.service}: ${startFailure(error)}\n`);
    process.exit(error instanceof ConfigError ? EXIT.config : EXIT.unavailable);
  }
  const service = new RunningService(app, options);
  try {
    await service.start();
  } catch (error) {
    process.stderr.write(`vouch ${options.service}: ${startFailure(error)}\n`);
    await service.stop();
    process.exit(error instanceof ConfigError ? EXIT.config : EXIT.unavailable);
  }
  process.exit(await service.ended());
}

class RunningService {
  readonly #state: ServiceState;
  readonly #metrics: Metrics;
  readonly #logger: PinoLogger;
  readonly #health: HealthServer;
  readonly #transports: { close(): Promise<void> }[] = [];
  #healthPort: number | undefined;

  constructor(
    private readonly app: NestFastifyApplication,
    private readonly options: RunOptions,
  ) {
    app.useLogger(app.get(Logger));
    app.flushLogs();
    this.#state = app.get(ServiceState);
    this.#metrics = app.get(Metrics);
    this.#logger = new PinoLogger({});
    this.#logger.setContext('service');
    this.#health = new HealthServer(this.#state, this.#metrics, options.healthListenerPaths?.(app));
  }

  async start(): Promise<void> {
    this.#state.hold('start', 'starting');
    const config = this.app.get<CommonConfig>(COMMON_CONFIG);
    if (config.VOUCH_HEALTH_LISTEN !== undefined) {
      this.#healthPort = await this.#health.listen(config.VOUCH_HEALTH_LISTEN).catch((error: NodeJS.ErrnoException) => {
        throw new ConfigError([`VOUCH_HEALTH_LISTEN: cannot listen there (${error.code})`]);
      });
    }
    await this.options.configure?.(this.app);
    this.#connectTransports();
    await this.app.init();
    await this.app.startAllMicroservices();
    const address = this.options.listen?.(this.app);
    if (address !== undefined) await this.app.listen(address.port, address.host);
    await this.options.started?.(this.app);
    this.#state.release('start');
    this.#logger.info(
      { node: config.VOUCH_NODE, healthPort: this.#healthPort, url: address && (await this.app.getUrl()) },
      'ready',
    );
  }

  /** Resolves with the exit code once the service has stopped. */
  async ended(): Promise<number> {
    const signal = new Promise<NodeJS.Signals>((resolve) => {
      for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, () => resolve(name));
    });
    const end = await Promise.race([signal, this.#state.failed]);
    const isFatal = typeof end !== 'string';
    if (isFatal) {
      const { where, error } = end;
      const { code } = error as { code?: unknown };
      this.#metrics.fatalErrors.inc({ code: typeof code === 'string' ? code : 'unknown' });
      this.#logger.fatal({ where, err: error }, 'the service cannot go on');
    } else {
      this.#logger.info({ signal: end }, 'stopping');
    }
    // A second signal, or a handler that never ends, must not keep the process for ever.
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, () => process.exit(1));
    setTimeout(() => process.exit(1), SHUTDOWN_DEADLINE_MS).unref();
    await this.stop();
    return isFatal ? EXIT.fatal : 0;
  }

  async stop(): Promise<void> {
    this.#state.hold('stopping', 'the service is shutting down');
    const steps: (() => unknown)[] = [
      () => this.options.stopping?.(this.app),
      () => Promise.all(this.#transports.map((transport) => transport.close())),
      () => this.app.close(),
      () => this.#closeNats(),
      () => this.#health.close(),
    ];
    for (const step of steps) {
      try {
        await step();
      } catch (error) {
        this.#logger.error({ err: asError(error) }, 'a step of the shutdown failed');
      }
    }
  }

  #connectTransports(): void {
    const { app } = this;
    const connection = app.get<NatsConnection>(NATS);
    const logger = new PinoLogger({});
    logger.setContext('transport');
    const parts: TransportParts = { state: this.#state, metrics: this.#metrics, logger };
    const store = app.get<EventStore>(EVENT_STORE);
    const directory = app.get<KeyDirectory>(KEY_DIRECTORY);
    const strategies = [
      new JetStreamTransport({ ...parts, store, directory, connection }),
      new BusRequestTransport({ ...parts, connection, queue: this.options.service }),
    ];
    for (const strategy of strategies) {
      const microservice = app.connectMicroservice<MicroserviceOptions>(
        { strategy },
        { deferInitialization: true },
      ) as unknown as NestMicroservice;
      // Global filters must be there before listeners are bound, and the application itself runs the life-cycle hooks.
      microservice.useGlobalFilters(new KeepErrorFilter());
      microservice.registerListeners();
      microservice.setIsInitialized(true);
      microservice.setIsInitHookCalled(true);
      this.#transports.push(strategy);
    }
  }

  async #closeNats(): Promise<void> {
    const connection = this.app.get<NatsConnection>(NATS);
    if (connection.isClosed()) return;
    await connection.flush().catch(() => undefined);
    await connection.close();
  }
}

function startFailure(error: unknown): string {
  return error instanceof ConfigError ? `bad configuration: ${error.message}` : asError(error).message;
}
