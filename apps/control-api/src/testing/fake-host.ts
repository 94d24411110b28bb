import { randomUUID } from 'node:crypto';
import { Kvm } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/transport-node';
import { authorEvent, type DesiredGuest, type EventData, type EventType } from '@vouch/domain';
import { type EventStore, JetStreamEventStore } from '@vouch/eventstore';
import type { ControlPlane } from './control-plane.js';

/** Speaks for one host's worker and for the KMS, with their real keys and rights, but without guests. */
export class FakeHost {
  #beating: NodeJS.Timeout | undefined;

  private constructor(
    readonly hostId: string,
    private readonly plane: ControlPlane,
    private readonly connection: NatsConnection,
    private readonly workerStore: EventStore,
    private readonly kmsStore: EventStore,
  ) {}

  static async connect(plane: ControlPlane, hostId: string): Promise<FakeHost> {
    const { bus, authors } = plane;
    const connection = await bus.connect({ service: 'host-worker', node: hostId });
    const { directory } = authors;
    const workerStore = new JetStreamEventStore({ connection, directory, readMode: 'filtered-consumer' });
    const kms = await bus.connect({ service: 'kms', node: '' });
    return new FakeHost(
      hostId,
      plane,
      connection,
      workerStore,
      new JetStreamEventStore({ connection: kms, directory }),
    );
  }

  /** Sends a heartbeat now and every second until {@link silence}. */
  beat(): void {
    const send = (): void =>
      this.connection.publish(`$KV.hosts.${this.hostId}`, JSON.stringify({ hostId: this.hostId }));
    send();
    this.#beating = setInterval(send, 1_000);
  }

  /** No more heartbeats. */
  silence(): void {
    clearInterval(this.#beating);
  }

  log(instanceId: string, message: object): void {
    this.connection.publish(`logs.${this.hostId}.${instanceId}`, JSON.stringify(message));
  }

  /** What control-api wants of this host for one instance; undefined when nothing. */
  async desired(instanceId: string): Promise<DesiredGuest | undefined> {
    const admin = await this.plane.bus.connect({ service: 'control-api', node: '' });
    const entry = await (await new Kvm(admin).open('desired')).get(`${this.hostId}.${instanceId}`);
    await admin.close();
    return entry === null || entry.operation !== 'PUT' ? undefined : entry.json<DesiredGuest>();
  }

  async worker<T extends EventType>(type: T, data: EventData<T>): Promise<void> {
    await this.#append(this.workerStore, type, data, this.plane.authors.of('host-worker', this.hostId));
  }

  async kms<T extends EventType>(type: T, data: EventData<T>): Promise<void> {
    await this.#append(this.kmsStore, type, data, this.plane.authors.of('kms'));
  }

  async #append<T extends EventType>(
    store: EventStore,
    type: T,
    data: EventData<T>,
    author: Parameters<typeof authorEvent>[0],
  ): Promise<void> {
    const event = authorEvent(author, {
      id: randomUUID(),
      type,
      data,
      time: new Date(),
      actor: author.service,
      cause: '',
      corr: '',
    });
    const last = await store.lastOf(event.envelope.subject);
    const outcome = await store.append(event as never, last?.seq ?? 0);
    if (!outcome.ok) throw new Error(`${type} met a conflict`);
  }
}
