import { Kvm } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/transport-node';
import { asError, type FieldLogger } from '@vouch/platform';

const INTERVAL_MS = 5000;

/** Value of the KV bucket `hosts` under the host id. */
export interface HostReport {
  readonly hostId: string;
  /** ISO 8601. */
  readonly time: string;
  readonly vcpuTotal: number;
  readonly memoryMiBTotal: number;
  /** Guests written down here, running or not. */
  readonly guests: number;
  readonly osImageHash: string;
}

/** Says every five seconds that the host is there. A missed one is only logged: the next follows. */
export class Heartbeat {
  #timer: NodeJS.Timeout | undefined;
  #beating: Promise<void> = Promise.resolve();

  constructor(
    private readonly connection: NatsConnection,
    private readonly report: () => Promise<HostReport>,
    private readonly logger: FieldLogger,
  ) {}

  start(): void {
    this.#beat();
    this.#timer = setInterval(() => this.#beat(), INTERVAL_MS);
    this.#timer.unref();
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#beating;
  }

  #beat(): void {
    this.#beating = this.#beating
      .then(async () => {
        const report = await this.report();
        const bucket = await new Kvm(this.connection).open('hosts', { allow_direct: true });
        await bucket.put(report.hostId, JSON.stringify(report));
      })
      .catch((error: unknown) => this.logger.warn({ err: asError(error).message }, 'no heartbeat was sent'));
  }
}
