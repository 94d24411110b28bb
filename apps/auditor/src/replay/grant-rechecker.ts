import type { QuoteCollateralV3, TrustAnchor } from '@vouch/attestation';
import type { StoredEvent } from '@vouch/eventstore';
import { type GrantEvent, type GrantRecheck, recheckGrant, unfoundedGrant } from './recheck-grant.js';

/** Where the events come from that decisions rest on. Every answer has its author's signature verified. */
export interface DecisionLog {
  event(seq: number): Promise<StoredEvent | undefined>;
  /** Events of an instance before `before`, in order. */
  instance(instanceId: string, before: number): Promise<readonly StoredEvent[]>;
  /** Records of collateral before `before` that may have this digest. */
  collateral(digest: string, before: number): Promise<readonly StoredEvent[]>;
}

/** Collateral kept at once: one per platform and fetch, a few KiB each. */
const MAX_COLLATERAL = 64;
/** Decisions a report lists one by one; the counts are of all. */
const MAX_LISTED = 1_000;

export interface GrantSummary {
  readonly decided: number;
  readonly confirmed: number;
  readonly differing: number;
  readonly skipped: number;
  /** The first decisions, and every one that differs, up to a bound; `decided` says how many there are. */
  readonly listed: readonly GrantRecheck[];
}

/**
 * Verifies the decisions of a stream again, one by one as they come by. What a decision rests on counts only
 * with its author's signature; nothing is kept but counts, a bounded list and some collateral.
 */
export class GrantRechecker {
  readonly #collateral = new Map<string, QuoteCollateralV3>();
  readonly #listed: GrantRecheck[] = [];
  readonly #counts = { decided: 0, confirmed: 0, differs: 0, skipped: 0 };

  constructor(
    private readonly log: DecisionLog,
    private readonly anchors: readonly TrustAnchor[],
  ) {}

  get summary(): GrantSummary {
    const { decided, confirmed, differs, skipped } = this.#counts;
    return { decided, confirmed, differing: differs, skipped, listed: this.#listed };
  }

  async take(events: readonly StoredEvent[]): Promise<void> {
    for (const event of events) {
      const { type } = event.envelope;
      if (type !== 'grant.issued' && type !== 'grant.denied') continue;
      const result = await this.#recheck(event as GrantEvent);
      this.#counts.decided += 1;
      this.#counts[result.verdict] += 1;
      if (this.#listed.length < MAX_LISTED || (result.verdict === 'differs' && this.#listed.length < 2 * MAX_LISTED)) {
        this.#listed.push(result);
      }
    }
  }

  async #recheck(grant: GrantEvent): Promise<GrantRecheck> {
    const { data, time } = grant.envelope;
    const request = data.requestSeq < grant.seq ? await this.log.event(data.requestSeq) : undefined;
    if (request?.envelope.type !== 'attestation.submitted') {
      return unfoundedGrant(grant, `event ${data.requestSeq} is not an attestation before the decision`);
    }
    if (request.envelope.id !== data.requestId || request.envelope.data.instanceId !== data.instanceId) {
      return unfoundedGrant(grant, `event ${data.requestSeq} is not the request the decision names`);
    }
    const evidence = {
      request: request.envelope.data,
      collateral: await this.#collateralOf(data.collateralDigest, grant.seq),
      collateralDigest: data.collateralDigest,
      unsafe: data.unsafe,
      at: new Date(time),
    };
    const instance = await this.log.instance(data.instanceId, grant.seq);
    return recheckGrant(grant, { evidence, instance }, this.anchors);
  }

  async #collateralOf(digest: string | null, before: number): Promise<QuoteCollateralV3 | undefined> {
    if (digest === null) return undefined;
    const known = this.#collateral.get(digest);
    if (known !== undefined) return known;
    for (const { envelope } of await this.log.collateral(digest, before)) {
      if (envelope.type !== 'kms.collateral-recorded' || envelope.data.digest !== digest) continue;
      const collateral = envelope.data.collateral as unknown as QuoteCollateralV3;
      if (this.#collateral.size >= MAX_COLLATERAL) this.#collateral.clear();
      this.#collateral.set(digest, collateral);
      return collateral;
    }
    return undefined;
  }
}
