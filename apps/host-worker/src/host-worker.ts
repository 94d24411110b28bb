import { mkdir } from 'node:fs/promises';
import type { Server } from 'node:net';
import { join } from 'node:path';
import type { NatsConnection } from '@nats-io/transport-node';
import type { TrustFile } from '@vouch/domain';
import type { Clock, EventWriter, FieldLogger, ServiceState } from '@vouch/platform';
import type { HostConfig } from './config/host-config.js';
import { DesiredGuests } from './desired/desired-guests.js';
import type { GuestDriver } from './driver/guest-driver.js';
import { ProcessDriver } from './driver/process/process-driver.js';
import { Heartbeat } from './heartbeat.js';
import { GuestRelay } from './host-api/guest-relay.js';
import { EventOutbox } from './journal/event-outbox.js';
import type { PendingEvent } from './journal/guest-journal.js';
import { JournalStore } from './journal/journal-store.js';
import { LogShipper } from './logs/log-shipper.js';
import { Reconciler } from './reconcile/reconciler.js';
import { SealedMailbox } from './sealed/sealed-mailbox.js';
import { Surroundings } from './surroundings.js';
import { lockDataDir } from './worker-lock.js';

const WRITE_DEADLINE_MS = 10_000;
const LAST_EVENTS_MS = 5_000;

export interface HostWorkerParts {
  readonly config: HostConfig;
  readonly connection: NatsConnection;
  readonly events: EventWriter;
  readonly trust: TrustFile;
  readonly clock: Clock;
  readonly state: ServiceState;
  readonly logger: FieldLogger;
}

/** What a worker is made of. */
interface Pieces {
  readonly lock: Server;
  readonly driver: GuestDriver;
  readonly outbox: EventOutbox;
  readonly journals: JournalStore;
  readonly desired: DesiredGuests;
  readonly mailbox: SealedMailbox;
  readonly surroundings: Surroundings;
  readonly reconciler: Reconciler;
  readonly heartbeat: Heartbeat;
}

/**
 * One host's worker: keeps the guests that run equal to those that are desired, serves the host API to them, tells the log
 * what happens, and says that the host is alive. What it must remember lies in journals, so that it can be killed at any
 * moment; its guests go on without it.
 */
export class HostWorker {
  private constructor(
    private readonly config: HostConfig,
    private readonly state: ServiceState,
    private readonly pieces: Pieces,
  ) {}

  /** Takes the data folder and reads the journals; nothing is started yet. Throws ConfigError. */
  static async open(parts: HostWorkerParts): Promise<HostWorker> {
    const { config, connection, events, clock, logger } = parts;
    const hostId = config.VOUCH_NODE;
    const folder = join(config.HOST_DATA_DIR, 'journal');
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const lock = await lockDataDir(config.HOST_DATA_DIR);
    const driver = newDriver(parts);
    const journals = await JournalStore.open(folder, (file, reason) =>
      logger.error({ file, reason }, 'a journal is unreadable and was set aside'),
    );
    const desired = new DesiredGuests(connection, hostId, logger);
    desired.trackedIds = () => journals.ids();
    const write = async ({ id, type, data }: PendingEvent, signal: AbortSignal): Promise<void> => {
      await events.write(type, data, { id, actor: `host-worker/${hostId}`, deadlineMs: WRITE_DEADLINE_MS, signal });
    };
    let reconciler: Reconciler | undefined;
    const outbox = new EventOutbox(journals, write, logger, (instanceId) => reconciler?.poke(instanceId));
    const mailbox = new SealedMailbox(connection, hostId, clock.monotonicMs, logger);
    const surroundings = new Surroundings({
      driver,
      journals,
      outbox,
      mailbox,
      relay: new GuestRelay(hostId, connection, events, mailbox),
      shipper: new LogShipper({
        folder,
        publish: (instanceId, message) => connection.publish(`logs.${hostId}.${instanceId}`, JSON.stringify(message)),
        now: clock.now,
        monotonicMs: clock.monotonicMs,
        logger,
      }),
      monotonicMs: clock.monotonicMs,
      logger,
    });
    const stopGraceMs = config.HOST_STOP_GRACE_SECONDS * 1000;
    const lane = { hostId, driver, journals, outbox, surroundings, clock, logger, stopGraceMs };
    reconciler = new Reconciler(desired, lane, logger);
    const report = async () => ({
      hostId,
      time: clock.now().toISOString(),
      vcpuTotal: config.HOST_VCPU,
      memoryMiBTotal: config.HOST_MEMORY_MIB,
      guests: journals.ids().length,
      osImageHash: await driver.osImageHash(),
    });
    const heartbeat = new Heartbeat(connection, report, logger);
    return new HostWorker(config, parts.state, {
      lock,
      driver,
      outbox,
      journals,
      desired,
      mailbox,
      surroundings,
      reconciler,
      heartbeat,
    });
  }

  start(): void {
    const { state } = this;
    state.hold('desired guests', 'not listed yet');
    this.pieces.mailbox.start();
    for (const instanceId of this.pieces.journals.ids()) void this.pieces.outbox.flush(instanceId);
    this.pieces.reconciler.start();
    this.pieces.desired.start(() => {
      state.release('desired guests');
      this.pieces.reconciler.pokeAll();
    });
    this.pieces.heartbeat.start();
  }

  /** Stops working. Guests go on and are adopted by the next worker, unless HOST_STOP_GUESTS_ON_EXIT=1. */
  async stop(): Promise<void> {
    await this.pieces.heartbeat.close();
    await this.pieces.desired.close();
    if (this.config.HOST_STOP_GUESTS_ON_EXIT === '1') {
      await this.pieces.reconciler.haltGuests();
      const told = Promise.all(this.pieces.journals.ids().map((instanceId) => this.pieces.outbox.flush(instanceId)));
      await Promise.race([told, new Promise((resolve) => setTimeout(resolve, LAST_EVENTS_MS).unref())]);
    }
    await this.pieces.reconciler.close();
    await this.pieces.surroundings.closeAll();
    await this.pieces.outbox.close();
    this.pieces.mailbox.close();
    this.pieces.driver.close();
    this.pieces.lock.close();
  }
}

/** QEMU guests get a driver of their own behind the same interface. */
function newDriver({ config, trust }: HostWorkerParts): GuestDriver {
  return new ProcessDriver({
    hostId: config.VOUCH_NODE,
    dataDir: config.HOST_DATA_DIR,
    simulatorSocket: config.SIMULATOR_ADMIN_SOCKET,
    agentEntry: config.GUEST_AGENT_ENTRY,
    trust,
  });
}
