import type { StoredEvent } from '@vouch/eventstore';
import type { DecisionLog } from '../replay/grant-rechecker.js';

/** Requests kept for their decision: a bundle's KMS decides soon after, and each may hold 256 KiB. */
const MAX_REQUESTS = 1_000;

/** The events decisions rest on, kept while a bundle is read through: small ones for good, requests for a while. */
export class MemoryDecisionLog implements DecisionLog {
  readonly #requests = new Map<number, StoredEvent>();
  readonly #instances = new Map<string, StoredEvent[]>();
  readonly #collateral = new Map<string, StoredEvent>();

  add(event: StoredEvent): void {
    const { type } = event.envelope;
    if (type === 'attestation.submitted') {
      this.#requests.set(event.seq, event);
      const [oldest] = this.#requests.keys();
      if (this.#requests.size > MAX_REQUESTS && oldest !== undefined) this.#requests.delete(oldest);
    } else if (type === 'kms.collateral-recorded') {
      this.#collateral.set(event.envelope.data.digest, event as StoredEvent);
    } else if (event.subject.startsWith('evt.instance.')) {
      const events = this.#instances.get(event.subject) ?? [];
      events.push(event);
      this.#instances.set(event.subject, events);
    }
  }

  async event(seq: number): Promise<StoredEvent | undefined> {
    return this.#requests.get(seq);
  }

  async instance(instanceId: string): Promise<readonly StoredEvent[]> {
    return this.#instances.get(`evt.instance.${instanceId}`) ?? [];
  }

  async collateral(digest: string): Promise<readonly StoredEvent[]> {
    const found = this.#collateral.get(digest);
    return found === undefined ? [] : [found];
  }
}
