import { setTimeout as delay } from 'node:timers/promises';
import {
  type AuthoredEvent,
  authorEvent,
  type Command,
  type EventData,
  type EventType,
  type FleetView,
} from '@vouch/domain';
import { MemoryEventStore } from '@vouch/eventstore';
import { EventWriter, type FieldLogger, Metrics } from '@vouch/platform';
import { FakeClock, makeTestAuthors, type TestAuthors } from '@vouch/testkit';
import { type Accepted, CommandService } from '../commands/command-service.js';
import { AddressBook } from '../fleet/address-book.js';
import { FleetFeed } from '../fleet/fleet-feed.js';
import { GuestPublisher } from '../fleet/guest-publisher.js';
import { HeartbeatWatch } from '../fleet/heartbeat-watch.js';
import { OperationRunner } from '../fleet/operation-runner.js';
import { MemoryBucket } from './memory-bucket.js';

const silent: FieldLogger = { info: () => undefined, warn: () => undefined, error: () => undefined };

/** What outlives a control-api process: the log, the buckets, the keys. */
export class MemoryWorld {
  readonly clock = new FakeClock();
  readonly authors: TestAuthors = makeTestAuthors();
  readonly store = new MemoryEventStore({ directory: this.authors.directory, now: this.clock.now });
  readonly desired = new MemoryBucket(this.clock.now);
  readonly addresses = new MemoryBucket(this.clock.now);
  readonly hosts = new MemoryBucket(this.clock.now);

  /** An event by its rightful author, appended after whatever is there. */
  async append<T extends EventType>(type: T, data: EventData<T>, node = ''): Promise<void> {
    const service = type.startsWith('vm.') ? 'host-worker' : type.startsWith('grant.') ? 'kms' : 'control-api';
    const event = this.authors.event(this.authors.of(service, node), type, data) as AuthoredEvent;
    const last = await this.store.lastOf(event.envelope.subject);
    await this.store.append(event, last?.seq ?? 0);
  }

  /** Stores an event signed by a key that nobody knows. */
  forge<T extends EventType>(author: Parameters<typeof authorEvent>[0], type: T, data: EventData<T>): void {
    const event = this.authors.event(author, type, data);
    this.store.injectRaw(event.envelope.subject, event.bytes);
  }
}

/** One life of control-api's core on a {@link MemoryWorld}. */
export class MemoryPlane {
  readonly feed: FleetFeed;
  readonly runner: OperationRunner;
  readonly commands: CommandService;

  constructor(readonly world: MemoryWorld) {
    const { store, clock, authors, desired, addresses, hosts } = world;
    const writer = new EventWriter(store, authors.of('control-api'), clock, new Metrics());
    this.feed = new FleetFeed(store, silent);
    const book = new AddressBook(addresses);
    this.runner = new OperationRunner({
      feed: this.feed,
      heartbeats: new HeartbeatWatch(hosts, clock, silent),
      publisher: new GuestPublisher(this.feed.view, desired, addresses, book, silent),
      book,
      writer,
      clock,
      logger: silent,
    });
    this.commands = new CommandService({
      feed: this.feed,
      writer,
      clock,
      operationDeadlineMs: 300_000,
      onAccepted: () => undefined,
    });
    this.runner.start();
  }

  get view(): FleetView {
    return this.feed.view;
  }

  async live(): Promise<this> {
    await this.feed.waitUntil(() => this.feed.state.state !== 'catching-up', 5_000);
    return this;
  }

  submit(
    command: Command | ((operationId: string) => Command),
    more: { key?: string; body?: unknown; name?: string } = {},
  ): Promise<Accepted> {
    return this.commands.submit({
      principal: { name: more.name ?? 'ann', role: 'operator' },
      method: 'POST',
      path: '/test',
      body: more.body ?? null,
      idempotencyKey: more.key,
      waitMs: 0,
      command: typeof command === 'function' ? command : () => command,
    });
  }

  /** Waits until `holds`; throws when it does not within 5 s. */
  async until(holds: () => boolean): Promise<void> {
    const deadline = performance.now() + 5_000;
    while (!holds()) {
      if (performance.now() > deadline) throw new Error(`not reached; ${JSON.stringify(this.feed.state)}`);
      await delay(2);
    }
  }
}
