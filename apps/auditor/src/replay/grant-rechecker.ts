import type { QuoteCollateralV3, TrustAnchor } from '@vouch/attestation';
import { type EventType, type KeyDirectory, readEvent, verifyAuthor } from '@vouch/domain';
import type { StoredEvent } from '@vouch/eventstore';
import type { SqlRow, SqlSession } from '../database/sql-session.js';
import { bytesOf } from '../projector/merkle-store.js';
import { type GrantEvent, type GrantRecheck, recheckGrant, unfoundedGrant } from './recheck-grant.js';

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
 * Verifies the decisions of a stream again, one by one as they come by. What a decision rests on is read from the copy
 * and counts only with its author's signature; nothing is kept but counts, a bounded list and some collateral.
 */
export class GrantRechecker {
  readonly #collateral = new Map<string, QuoteCollateralV3>();
  readonly #listed: GrantRecheck[] = [];
  readonly #counts = { decided: 0, confirmed: 0, differs: 0, skipped: 0 };

  constructor(
    private readonly live: SqlSession,
    private readonly directory: KeyDirectory,
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
    const [request] = await this.#events('seq = $1 and seq < $2', [data.requestSeq, grant.seq]);
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
    const subject = `evt.instance.${data.instanceId}`;
    const instance = await this.#events('subject = $1 and seq < $2', [subject, grant.seq]);
    return recheckGrant(grant, { evidence, instance }, this.anchors);
  }

  async #collateralOf(digest: string | null, before: number): Promise<QuoteCollateralV3 | undefined> {
    if (digest === null) return undefined;
    const known = this.#collateral.get(digest);
    if (known !== undefined) return known;
    const recorded = await this.#events(
      "type = 'kms.collateral-recorded' and seq < $1 and position(convert_to($2, 'UTF8') in bytes) > 0",
      [before, digest],
    );
    for (const { envelope } of recorded) {
      if (envelope.type !== 'kms.collateral-recorded' || envelope.data.digest !== digest) continue;
      const collateral = envelope.data.collateral as unknown as QuoteCollateralV3;
      if (this.#collateral.size >= MAX_COLLATERAL) this.#collateral.clear();
      this.#collateral.set(digest, collateral);
      return collateral;
    }
    return undefined;
  }

  async #events(where: string, parameters: readonly unknown[]): Promise<StoredEvent<EventType>[]> {
    const { rows } = await this.live.query(`select seq, subject, time, bytes from event where ${where} order by seq`, [
      ...parameters,
    ]);
    return rows.map((row) => this.#opened(row));
  }

  #opened(row: SqlRow): StoredEvent {
    const subject = String(row.subject);
    const event = readEvent(bytesOf(row.bytes), subject);
    verifyAuthor(event, this.directory);
    return { ...event, seq: Number(row.seq), subject, storedAt: row.time as Date } as unknown as StoredEvent;
  }
}
