import type { NatsConnection } from '@nats-io/transport-node';
import { Module } from '@nestjs/common';
import type { EventStore } from '@vouch/eventstore';
import {
  CLOCK,
  type Clock,
  EVENT_STORE,
  EventWriter,
  type FieldLogger,
  NATS,
  PinoLogger,
  PlatformModule,
} from '@vouch/platform';
import { AppsController } from './api/apps.controller.js';
import { EventsController } from './api/events.controller.js';
import { GrantsController } from './api/grants.controller.js';
import { HostsController } from './api/hosts.controller.js';
import { InstancesController } from './api/instances.controller.js';
import { Mutation } from './api/mutation.js';
import { OperationsController } from './api/operations.controller.js';
import { ReleasesController } from './api/releases.controller.js';
import { StatusController } from './api/status.controller.js';
import { ApiTokens } from './auth/api-tokens.js';
import { CommandService } from './commands/command-service.js';
import { type ControlApiConfig, readControlApiConfig } from './config/control-api-config.js';
import { DashboardController } from './dashboard/dashboard.controller.js';
import { EventStreams } from './events/event-streams.js';
import { AddressBook } from './fleet/address-book.js';
import { FleetFeed } from './fleet/fleet-feed.js';
import { GuestPublisher } from './fleet/guest-publisher.js';
import { HeartbeatWatch } from './fleet/heartbeat-watch.js';
import { NatsBucket } from './fleet/nats-bucket.js';
import { OperationRunner } from './fleet/operation-runner.js';
import { OperationQueue } from './jobs/operation-queue.js';
import { reconcile } from './jobs/reconcile.js';
import { GuestLogs } from './logs/guest-logs.js';
import { ReadModel } from './read-model/read-model.js';
import { ReadModelPool } from './read-model/read-model-pool.js';
import { CONTROL_API_CONFIG } from './tokens.js';

const RECONCILE_EVERY_MS = 30_000;

/** Puts the plain parts together. Nothing here runs yet: main starts and stops the loops. */
@Module({
  imports: [PlatformModule.forService({ service: 'control-api' })],
  controllers: [
    AppsController,
    ReleasesController,
    InstancesController,
    HostsController,
    OperationsController,
    GrantsController,
    EventsController,
    StatusController,
    DashboardController,
  ],
  providers: [
    Mutation,
    { provide: CONTROL_API_CONFIG, useFactory: () => readControlApiConfig() },
    {
      provide: ApiTokens,
      useFactory: (config: ControlApiConfig) => ApiTokens.fromFile(config.tokensFile),
      inject: [CONTROL_API_CONFIG],
    },
    {
      provide: ReadModelPool,
      useFactory: (config: ControlApiConfig) => new ReadModelPool(config.databaseUrl, logger('read-model')),
      inject: [CONTROL_API_CONFIG],
    },
    { provide: ReadModel, useFactory: (pool: ReadModelPool) => new ReadModel(pool), inject: [ReadModelPool] },
    {
      provide: FleetFeed,
      useFactory: (store: EventStore) => new FleetFeed(store, logger('fleet')),
      inject: [EVENT_STORE],
    },
    {
      provide: HeartbeatWatch,
      useFactory: (nats: NatsConnection, clock: Clock) =>
        new HeartbeatWatch(new NatsBucket(nats, 'hosts'), clock, logger('heartbeats')),
      inject: [NATS, CLOCK],
    },
    {
      provide: OperationRunner,
      useFactory: runner,
      inject: [FleetFeed, HeartbeatWatch, EventWriter, NATS, CLOCK],
    },
    {
      provide: OperationQueue,
      useFactory: queue,
      inject: [CONTROL_API_CONFIG, FleetFeed, OperationRunner],
    },
    {
      provide: CommandService,
      useFactory: (
        feed: FleetFeed,
        writer: EventWriter,
        clock: Clock,
        config: ControlApiConfig,
        operations: OperationQueue,
      ) =>
        new CommandService({
          feed,
          writer,
          clock,
          operationDeadlineMs: config.operationDeadlineMs,
          onAccepted: (operationId, deadline) => void operations.scheduleDeadline(operationId, deadline),
        }),
      inject: [FleetFeed, EventWriter, CLOCK, CONTROL_API_CONFIG, OperationQueue],
    },
    {
      provide: EventStreams,
      useFactory: (store: EventStore) => new EventStreams(store, logger('events')),
      inject: [EVENT_STORE],
    },
    {
      provide: GuestLogs,
      useFactory: (nats: NatsConnection, feed: FleetFeed) => new GuestLogs(nats, feed),
      inject: [NATS, FleetFeed],
    },
  ],
})
export class ControlApiModule {}

export function logger(context: string): FieldLogger {
  const made = new PinoLogger({});
  made.setContext(context);
  return made;
}

function runner(
  feed: FleetFeed,
  heartbeats: HeartbeatWatch,
  writer: EventWriter,
  nats: NatsConnection,
  clock: Clock,
): OperationRunner {
  const addresses = new NatsBucket(nats, 'addresses');
  const book = new AddressBook(addresses);
  const desired = new NatsBucket(nats, 'desired');
  const publisher = new GuestPublisher(feed.view, desired, addresses, book, logger('guests'));
  return new OperationRunner({ feed, heartbeats, publisher, book, writer, clock, logger: logger('operations') });
}

function queue(config: ControlApiConfig, feed: FleetFeed, operations: OperationRunner): OperationQueue {
  const made: OperationQueue = new OperationQueue({
    jobs: config.jobs,
    logger: logger('jobs'),
    reconcileEveryMs: RECONCILE_EVERY_MS,
    handlers: {
      onDeadline: async () => operations.poke(),
      onReconcile: () => reconcile(feed, operations, made),
    },
  });
  return made;
}
