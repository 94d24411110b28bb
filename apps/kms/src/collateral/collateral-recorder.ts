import type { EventStore } from '@vouch/eventstore';
import { deterministicEventId, type EventWriter } from '@vouch/platform';
import type { UsedCollateral } from '../evidence/appraised-facts.js';

/**
 * Puts each collateral into the log before the first decision that relied on it, once per KMS, so that every grant can be
 * verified again later, offline, with what was known then.
 */
export class CollateralRecorder {
  readonly #recorded = new Set<string>();
  #isLoaded = false;

  constructor(
    private readonly kmsId: string,
    private readonly store: EventStore,
    private readonly writer: EventWriter,
  ) {}

  /** Resolves when the collateral is in the log. Throws EventStoreUnavailableError. */
  async record({ digest, fmspc, collateral }: UsedCollateral): Promise<void> {
    await this.#load();
    if (this.#recorded.has(digest)) return;
    const { kmsId } = this;
    await this.writer.write(
      'kms.collateral-recorded',
      { kmsId, digest, fmspc, collateral: { ...collateral } },
      { actor: 'kms', id: deterministicEventId('collateral', kmsId, digest) },
    );
    this.#recorded.add(digest);
  }

  async #load(): Promise<void> {
    if (this.#isLoaded) return;
    for (const { envelope } of await this.store.readSubject(`evt.kms.${this.kmsId}`)) {
      if (envelope.type === 'kms.collateral-recorded') this.#recorded.add(envelope.data.digest);
    }
    this.#isLoaded = true;
  }
}
