import type { FieldLogger } from '@vouch/platform';
import type { GuestDriver } from './driver/guest-driver.js';
import type { GuestRelay, LiveGuest } from './host-api/guest-relay.js';
import { HostApiServer } from './host-api/host-api-server.js';
import type { EventOutbox } from './journal/event-outbox.js';
import type { JournalStore } from './journal/journal-store.js';
import type { LogShipper } from './logs/log-shipper.js';
import type { GuestSurroundings } from './reconcile/guest-lane.js';
import type { SealedMailbox } from './sealed/sealed-mailbox.js';

export interface SurroundingsParts {
  readonly driver: GuestDriver;
  readonly journals: JournalStore;
  readonly outbox: EventOutbox;
  readonly mailbox: SealedMailbox;
  readonly relay: GuestRelay;
  readonly shipper: LogShipper;
  readonly monotonicMs: () => number;
  readonly logger: FieldLogger;
}

/** Host API socket and log shipping of every guest on this host. */
export class Surroundings implements GuestSurroundings {
  readonly #servers = new Map<string, HostApiServer>();

  constructor(private readonly parts: SurroundingsParts) {}

  async open(instanceId: string): Promise<void> {
    const { driver, shipper, relay, logger, monotonicMs } = this.parts;
    const places = driver.places(instanceId);
    await shipper.open(instanceId, places.logs);
    if (this.#servers.has(instanceId)) return;
    const liveGuest = () => this.#liveGuest(instanceId);
    const server = new HostApiServer(places.hostSocket, { relay, logger, monotonicMs, liveGuest });
    await server.open();
    this.#servers.set(instanceId, server);
  }

  /** The log goes on being shipped: the last lines of a guest that ended are the interesting ones. */
  async close(instanceId: string): Promise<void> {
    const server = this.#servers.get(instanceId);
    this.#servers.delete(instanceId);
    await server?.close();
  }

  async forget(instanceId: string): Promise<void> {
    await this.close(instanceId);
    await this.parts.shipper.forget(instanceId);
    this.parts.mailbox.forget(instanceId);
  }

  async closeAll(): Promise<void> {
    await Promise.all([...this.#servers.keys()].map((instanceId) => this.close(instanceId)));
    await this.parts.shipper.close();
  }

  /** Only while the journal says "running" and the log knows it: a guest speaks for its own launch and no other. */
  #liveGuest(instanceId: string): LiveGuest | undefined {
    const journal = this.parts.journals.get(instanceId);
    if (journal?.launch?.state !== 'running' || !this.parts.outbox.isFlushed(instanceId)) return undefined;
    return { ...journal, launch: journal.launch };
  }
}
