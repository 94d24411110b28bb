import type { EventData } from '@vouch/domain';
import type { EventStore } from '@vouch/eventstore';
import {
  evolveKeyEpochs,
  initialKeyEpochs,
  KEY_EPOCH_EVENTS,
  type KeyEpochEventType,
  type KeyEpochs,
} from './key-epochs.js';

const TYPES: ReadonlySet<string> = new Set(KEY_EPOCH_EVENTS);

/**
 * Key epochs as the log has them at this moment. Their subject is asked at the leader each time, so that no replica goes on
 * with an epoch that another has tainted; it is read whole only when it has moved on.
 */
export class KeyEpochLog {
  #epochs: KeyEpochs = initialKeyEpochs;
  #lastSeq = 0;

  constructor(
    readonly kmsId: string,
    private readonly store: EventStore,
  ) {}

  /** Throws EventStoreUnavailableError. `lastSeq`: position of the subject's last event, for an append. */
  async read(): Promise<{ readonly epochs: KeyEpochs; readonly lastSeq: number }> {
    const subject = `evt.kms.${this.kmsId}`;
    const last = await this.store.lastOf(subject);
    if ((last?.seq ?? 0) !== this.#lastSeq) {
      const events = await this.store.readSubject(subject);
      let epochs = initialKeyEpochs;
      for (const { seq, envelope } of events) {
        if (!TYPES.has(envelope.type)) continue;
        const data = envelope.data as EventData<KeyEpochEventType>;
        epochs = evolveKeyEpochs(epochs, { seq, type: envelope.type as KeyEpochEventType, data });
      }
      this.#epochs = epochs;
      this.#lastSeq = events.at(-1)?.seq ?? 0;
    }
    return { epochs: this.#epochs, lastSeq: this.#lastSeq };
  }
}
