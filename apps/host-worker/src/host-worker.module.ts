import type { NatsConnection } from '@nats-io/transport-node';
import { Module } from '@nestjs/common';
import type { KeyDirectory } from '@vouch/domain';
import {
  CLOCK,
  type Clock,
  EventWriter,
  KEY_DIRECTORY,
  NATS,
  PinoLogger,
  PlatformModule,
  ServiceState,
} from '@vouch/platform';
import { type HostConfig, readHostConfig } from './config/host-config.js';
import { HostWorker } from './host-worker.js';

const HOST_CONFIG = Symbol('HOST_CONFIG');

@Module({
  imports: [PlatformModule.forService({ service: 'host-worker' })],
  providers: [
    { provide: HOST_CONFIG, useFactory: () => readHostConfig() },
    {
      provide: HostWorker,
      useFactory: (
        config: HostConfig,
        connection: NatsConnection,
        events: EventWriter,
        directory: KeyDirectory,
        clock: Clock,
        state: ServiceState,
      ) => {
        const logger = new PinoLogger({});
        logger.setContext('host-worker');
        return HostWorker.open({ config, connection, events, trust: directory.trust, clock, state, logger });
      },
      inject: [HOST_CONFIG, NATS, EventWriter, KEY_DIRECTORY, CLOCK, ServiceState],
    },
  ],
})
export class HostWorkerModule {}
