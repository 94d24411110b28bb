import type { NatsConnection } from '@nats-io/transport-node';
import {
  type DynamicModule,
  type FactoryProvider,
  Global,
  Module,
  type ModuleMetadata,
  type Provider,
} from '@nestjs/common';
import { type EventAuthor, eventCatalog, type KeyDirectory, type Service } from '@vouch/domain';
import { type EventStore, JetStreamEventStore } from '@vouch/eventstore';
import { LoggerModule, PinoLogger } from 'nestjs-pino';
import { systemClock } from './clock.js';
import { type CommonConfig, commonConfigSchema } from './config/common-config.js';
import { ConfigError } from './config/config-error.js';
import { readConfig } from './config/read-config.js';
import { connectNats } from './connect-nats.js';
import { EventWriter } from './event-writer.js';
import { Metrics } from './health/metrics.js';
import { ServiceState } from './health/service-state.js';
import { loggerOptions } from './logging/logger-options.js';
import { assertAuthorKnown, readEventAuthor, readKeyDirectory, readNatsSeed } from './secrets-from-files.js';
import { CLOCK, COMMON_CONFIG, EVENT_AUTHOR, EVENT_STORE, KEY_DIRECTORY, NATS } from './tokens.js';

/** Where a service's event author comes from when it is not the key file: the KMS derives it from its root. */
export interface AuthorSource {
  readonly imports?: ModuleMetadata['imports'];
  readonly inject?: FactoryProvider['inject'];
  // biome-ignore lint/suspicious/noExplicitAny: the arguments are whatever `inject` names, as in Nest's own providers
  readonly useFactory: (...dependencies: any[]) => EventAuthor | Promise<EventAuthor>;
}

export interface PlatformOptions {
  readonly service: Service;
  readonly author?: AuthorSource;
}

const PER_NODE_SERVICES: ReadonlySet<Service> = new Set(['host-worker', 'gateway']);

/**
 * What every service stands on, from the environment (see commonConfigSchema): NATS connection, event store, event
 * author, key directory, clock, logger, metrics, service state, event writer. Global. Settings are checked when the
 * application is created, so a wrong one ends the start with a ConfigError.
 */
@Global()
@Module({})
// biome-ignore lint/complexity/noStaticOnlyClass: a Nest module is a class
export class PlatformModule {
  static forService(options: PlatformOptions): DynamicModule {
    const providers: Provider[] = [
      { provide: COMMON_CONFIG, useFactory: () => readCommonConfig(options.service) },
      { provide: CLOCK, useValue: systemClock },
      { provide: ServiceState, useFactory: () => new ServiceState() },
      { provide: Metrics, useFactory: () => new Metrics() },
      {
        provide: KEY_DIRECTORY,
        useFactory: (config: CommonConfig) => readKeyDirectory(config.VOUCH_TRUST_FILE),
        inject: [COMMON_CONFIG],
      },
      authorProvider(options),
      {
        provide: NATS,
        useFactory: (config: CommonConfig, state: ServiceState) =>
          connectNats(
            {
              servers: config.NATS_URL,
              seed: readNatsSeed(config.VOUCH_NATS_SEED_FILE),
              service: options.service,
              node: config.VOUCH_NODE,
            },
            state,
          ),
        // The author is made first, so that a wrong key file is reported without waiting for the server.
        inject: [COMMON_CONFIG, ServiceState, EVENT_AUTHOR],
      },
      {
        provide: EVENT_STORE,
        useFactory: (connection: NatsConnection, directory: KeyDirectory): EventStore =>
          new JetStreamEventStore({
            connection,
            directory,
            readMode: options.service === 'host-worker' ? 'filtered-consumer' : 'message-get',
          }),
        inject: [NATS, KEY_DIRECTORY],
      },
      EventWriter,
    ];
    return {
      module: PlatformModule,
      global: true,
      imports: [...(options.author?.imports ?? []), logging(options.service)],
      providers,
      exports: [
        COMMON_CONFIG,
        CLOCK,
        ServiceState,
        Metrics,
        KEY_DIRECTORY,
        EVENT_AUTHOR,
        NATS,
        EVENT_STORE,
        EventWriter,
        LoggerModule,
      ],
    };
  }
}

function readCommonConfig(service: Service): CommonConfig {
  const config = readConfig(commonConfigSchema);
  if (PER_NODE_SERVICES.has(service) && config.VOUCH_NODE === '') {
    throw new ConfigError([`VOUCH_NODE: is required for ${service}: the id its subjects are bound to`]);
  }
  return config;
}

/** nestjs-pino's root logger is made with the options of the first PinoLogger there is: that must be this one. */
function logging(service: Service): DynamicModule {
  const options = loggerOptions(service, process.env.VOUCH_NODE ?? '', process.env.LOG_LEVEL || 'info');
  new PinoLogger(options).setContext('service');
  return LoggerModule.forRoot(options);
}

function authorProvider({ service, author }: PlatformOptions): Provider {
  if (author !== undefined) {
    return {
      provide: EVENT_AUTHOR,
      useFactory: async (directory: KeyDirectory, ...dependencies: unknown[]) => {
        const made = await author.useFactory(...dependencies);
        assertAuthorKnown(made, directory);
        return made;
      },
      inject: [KEY_DIRECTORY, ...(author.inject ?? [])],
    };
  }
  return {
    provide: EVENT_AUTHOR,
    useFactory: (config: CommonConfig, directory: KeyDirectory): EventAuthor | null => {
      if (!writesEvents(service)) return null;
      if (config.VOUCH_SIGNING_KEY_FILE === undefined) {
        throw new ConfigError(['VOUCH_SIGNING_KEY_FILE: is required but not set']);
      }
      const made = readEventAuthor(config.VOUCH_SIGNING_KEY_FILE, service, config.VOUCH_NODE);
      assertAuthorKnown(made, directory);
      return made;
    },
    inject: [COMMON_CONFIG, KEY_DIRECTORY],
  };
}

function writesEvents(service: Service): boolean {
  return Object.values(eventCatalog).some(({ writer }) => writer === service);
}
