import type { PolicyChange } from '@vouch/contracts';
import type { EventData } from '@vouch/domain';
import type { EventStore, StoredEvent } from '@vouch/eventstore';
import { deterministicEventId, type EventWriter } from '@vouch/platform';

/** The chain and the DstackKms whose changes are logged; the address is 40 hex digits. */
export interface PolicyAnchoring {
  readonly chainId: number;
  readonly contract: string;
}

/** A change that is in the log and was not orphaned since. */
export interface LoggedChange {
  readonly changeId: string;
  readonly app: string | null;
  readonly name: string;
  /** 64 hex digits. */
  readonly value: string;
  readonly block: number;
  readonly blockHash: string;
  readonly logIndex: number;
}

/** Another replica wrote first: what is known of the log is old. Reading it again settles it. */
class PolicyLogOvertakenError extends Error {
  readonly code = 'policy-log-overtaken';
  readonly retryable = true;
  constructor(subject: string) {
    super(`another replica wrote to ${subject}`);
    this.name = 'PolicyLogOvertakenError';
  }
}

type PolicyEvent = StoredEvent<'policy.changed'> | StoredEvent<'policy.change-orphaned'>;

/**
 * The `policy.…` events of one contract, folded: what is logged, what of it is orphaned, and the position each subject
 * has. Every write names that position and an id that follows from the chain, so that any number of replicas, killed at
 * any moment, log each change once.
 */
export class PolicyLog {
  readonly #live = new Map<string, LoggedChange>();
  /** How often the change of a place was orphaned: a block can leave the chain and come back. */
  readonly #orphanings = new Map<string, number>();
  readonly #lastSeq = new Map<string, number>();

  private constructor(
    private readonly anchoring: PolicyAnchoring,
    private readonly writer: EventWriter,
  ) {}

  /** Reads all of it from the log. Throws EventStoreUnavailableError. */
  static async read(anchoring: PolicyAnchoring, store: EventStore, writer: EventWriter): Promise<PolicyLog> {
    const log = new PolicyLog(anchoring, writer);
    for await (const event of store.read({ fromSeq: 1, filters: ['evt.policy.>'], follow: false })) {
      log.#fold(event as PolicyEvent);
    }
    return log;
  }

  /** The change of the highest block and place; undefined when nothing is logged. */
  get newest(): LoggedChange | undefined {
    let newest: LoggedChange | undefined;
    for (const change of this.#live.values()) {
      if (newest === undefined || isAfter(change, newest)) newest = change;
    }
    return newest;
  }

  /** Apps whose registration is logged, with the block of the first one. */
  registrations(): Map<string, number> {
    const apps = new Map<string, number>();
    for (const { name, value, block } of this.#live.values()) {
      if (name !== 'registered-app') continue;
      const app = value.slice(24);
      apps.set(app, Math.min(block, apps.get(app) ?? block));
    }
    return apps;
  }

  has(change: PolicyChange): boolean {
    return this.#live.has(placeOf(change));
  }

  /** Logs a change that is not logged yet. Throws PolicyLogOvertakenError, EventStoreUnavailableError. */
  async append(change: PolicyChange, blockTime: Date): Promise<void> {
    const { chainId, contract } = this.anchoring;
    const { address, name, value, enabled, block, blockHash, transaction, logIndex } = change;
    const place = placeOf(change);
    const app = address === contract ? null : address;
    const id = deterministicEventId('policy.changed', chainId, contract, place, this.#orphanings.get(place) ?? 0);
    const where = { block, blockHash, blockTime: blockTime.toISOString(), transaction, logIndex };
    const data: EventData<'policy.changed'> = { chainId, contract, app, name, value, enabled, ...where };
    const seq = await this.#write('policy.changed', data, id, transaction);
    this.#lastSeq.set(subjectOf(data), seq);
    this.#live.set(place, { changeId: id, app, name, value, block, blockHash, logIndex });
  }

  /** Logs that a change is no longer on the chain. Throws as `append`. */
  async orphan(change: LoggedChange, canonicalHash: string): Promise<void> {
    const { chainId, contract } = this.anchoring;
    const { changeId, app, block, blockHash } = change;
    const data = { chainId, contract, app, changeId, block, blockHash, canonicalHash };
    const seq = await this.#write(
      'policy.change-orphaned',
      data,
      deterministicEventId('policy.change-orphaned', changeId),
      changeId,
    );
    this.#lastSeq.set(subjectOf(data), seq);
    this.#forget(changeId);
  }

  async #write<T extends 'policy.changed' | 'policy.change-orphaned'>(
    type: T,
    data: EventData<T>,
    id: string,
    cause: string,
  ): Promise<number> {
    const subject = subjectOf(data);
    const expected = this.#lastSeq.get(subject) ?? 0;
    const actor = `chain/${this.anchoring.chainId}`;
    const outcome = await this.writer.write(type, data, { id, actor, cause, expected });
    if (!outcome.ok) throw new PolicyLogOvertakenError(subject);
    return outcome.seq;
  }

  #fold({ seq, subject, envelope }: PolicyEvent): void {
    this.#lastSeq.set(subject, seq);
    const { chainId, contract } = this.anchoring;
    const { data } = envelope;
    if (data.contract !== contract || data.chainId !== chainId) return;
    if (envelope.type === 'policy.change-orphaned') {
      this.#forget(envelope.data.changeId);
      return;
    }
    const { app, name, value, block, blockHash, logIndex } = envelope.data;
    this.#live.set(placeOf({ blockHash, logIndex }), {
      ...{ changeId: envelope.id, app, name, value, block, blockHash, logIndex },
    });
  }

  #forget(changeId: string): void {
    for (const [place, change] of this.#live) {
      if (change.changeId !== changeId) continue;
      this.#live.delete(place);
      this.#orphanings.set(place, (this.#orphanings.get(place) ?? 0) + 1);
    }
  }
}

/** The one place of a report: its block by hash, and its index there. */
function placeOf({ blockHash, logIndex }: { readonly blockHash: string; readonly logIndex: number }): string {
  return `${blockHash}/${logIndex}`;
}

function subjectOf({ app, contract }: { readonly app: string | null; readonly contract: string }): string {
  return `evt.policy.${app ?? contract}`;
}

function isAfter(a: LoggedChange, b: LoggedChange): boolean {
  return a.block > b.block || (a.block === b.block && a.logIndex > b.logIndex);
}
