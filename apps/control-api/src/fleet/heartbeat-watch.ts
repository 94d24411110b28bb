import { type Clock, type FieldLogger } from '@vouch/platform';
import { followBucket } from './follow-bucket.js';
import type { KeyValueBucket } from './key-value-bucket.js';

/** Latest heartbeat of each host, from the bucket `hosts`. The time is ours at receipt, so that a host's clock does not matter. */
export class HeartbeatWatch {
  readonly #heartbeats = new Map<string, Date>();
  readonly #abort = new AbortController();
  #running: Promise<void> | undefined;

  constructor(
    private readonly bucket: KeyValueBucket,
    private readonly clock: Clock,
    private readonly logger: FieldLogger,
  ) {}

  get heartbeats(): ReadonlyMap<string, Date> {
    return this.#heartbeats;
  }

  /** `onBeat` is called after each heartbeat: every few seconds per host, and so also drives what only waits for time. */
  start(onBeat: () => void): void {
    this.#running ??= followBucket(this.bucket, this.#abort.signal, this.logger, (change) => {
      if (change === 'current' || change === 'restarted' || change.value === undefined) return;
      const { key, isUpdate, storedAt } = change;
      this.#heartbeats.set(key, isUpdate ? this.clock.now() : storedAt);
      onBeat();
    });
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#running;
  }
}
