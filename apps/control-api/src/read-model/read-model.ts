import { setTimeout as delay } from 'node:timers/promises';
import type { TableName } from '@vouch/domain';
import { ProblemError } from '../problems/problem-error.js';
import type { ReadModelQueries } from './read-model-pool.js';

/** A row with its columns in camelCase, as the API answers it. */
export type Resource = Readonly<Record<string, unknown>>;

export interface Page {
  readonly items: readonly Resource[];
  /** True when there are more rows than `limit`. */
  readonly truncated: boolean;
}

interface Kind {
  readonly table: TableName;
  readonly key: string;
  readonly order: string;
  /** Columns of a list; a single resource has them all. */
  readonly columns: string;
  readonly filters: Readonly<Record<string, string>>;
}

/** The only SQL names there are: nothing of a request ever becomes part of a statement. */
export const resourceKinds = {
  app: {
    table: 'app',
    key: 'app_id',
    order: 'registered_at desc, app_id',
    columns: 'app_id, name, owner, registered_at, seq',
    filters: { name: 'name', owner: 'owner' },
  },
  release: {
    table: 'release',
    key: 'release_id',
    order: 'created_at desc, release_id',
    columns: 'release_id, app_id, compose_hash, name, resources, ports, created_at, seq',
    filters: { appId: 'app_id', composeHash: 'compose_hash' },
  },
  host: {
    table: 'host',
    key: 'host_id',
    order: 'host_id',
    columns: 'host_id, driver, vcpu, memory_mib, cordoned, cordon_reason, unsafe, registered_at, seq',
    filters: {},
  },
  instance: {
    table: 'instance',
    key: 'instance_id',
    order: 'created_at desc, instance_id',
    columns:
      'instance_id, app_id, release_id, compose_hash, seed, host_id, epoch, address, state, running, desired, reason, ports, created_at, updated_at, seq',
    filters: { appId: 'app_id', releaseId: 'release_id', hostId: 'host_id', state: 'state', desired: 'desired' },
  },
  operation: {
    table: 'operation',
    key: 'operation_id',
    order: 'requested_at desc, operation_id',
    columns:
      'operation_id, command, principal, target, state, code, reason, result, requested_at, finished_at, deadline, seq',
    filters: { state: 'state', target: 'target', command: 'command', principal: 'principal' },
  },
  grant: {
    table: 'key_grant',
    key: 'request_id',
    order: 'grant_seq desc',
    columns: '*',
    filters: { instanceId: 'instance_id', appId: 'app_id', hostId: 'host_id', outcome: 'outcome' },
  },
} as const satisfies Record<string, Kind>;

export type ResourceKind = keyof typeof resourceKinds;

export interface EventFilter {
  readonly after: number;
  readonly limit: number;
  readonly kind?: string | undefined;
  readonly type?: string | undefined;
  readonly subject?: string | undefined;
  readonly corr?: string | undefined;
}

/** How often the projection's position is looked at while a read waits for it, ms. */
const POSITION_POLL_MS = 20;
/** A page of events ends early when its stored bytes exceed this: evidence makes single events large. */
const EVENT_PAGE_BYTES = 4 * 1024 * 1024;

/** Reads the projected tables. Every method throws ProblemError: 503 when the database is away, 504 when it is behind. */
export class ReadModel {
  constructor(
    private readonly queries: ReadModelQueries,
    /** How long a read waits for `minSeq`, ms. */
    private readonly waitLimitMs = 5_000,
  ) {}

  /** Log position up to which the tables are projected; 0 before the first event. */
  async position(): Promise<number> {
    const rows = await this.queries.query<{ pos: number }>("select pos from projection where name = 'audit'");
    return rows[0]?.pos ?? 0;
  }

  /** Waits until the tables show the event at `minSeq`. */
  async waitFor(minSeq: number | undefined): Promise<void> {
    if (minSeq === undefined) return;
    const deadline = performance.now() + this.waitLimitMs;
    for (;;) {
      const position = await this.position();
      if (position >= minSeq) return;
      if (performance.now() >= deadline) {
        const detail = `the tables show the log up to event ${position}, not yet ${minSeq}`;
        throw new ProblemError({ status: 504, code: 'projection-behind', detail, retryable: true });
      }
      await delay(POSITION_POLL_MS);
    }
  }

  /** Newest first (hosts by id), at most `limit`, equal in every given filter. */
  async list(kind: ResourceKind, filters: Readonly<Record<string, string | undefined>>, limit: number): Promise<Page> {
    const { table, columns, order, filters: columnOf }: Kind = resourceKinds[kind];
    const where = new Conditions();
    for (const [name, value] of Object.entries(filters)) {
      const column = Object.hasOwn(columnOf, name) ? columnOf[name] : undefined;
      if (column !== undefined && value !== undefined) where.add(`${column} = ?`, value);
    }
    const text = `select ${columns} from ${table} ${where.text} order by ${order} limit ${where.next}`;
    const rows = await this.queries.query(text, [...where.values, limit + 1]);
    return { items: rows.slice(0, limit).map(camelCased), truncated: rows.length > limit };
  }

  /** One resource with all its columns. Throws ProblemError 404 `<kind>-unknown`. */
  async get(kind: ResourceKind, id: string): Promise<Resource> {
    const { table, key }: Kind = resourceKinds[kind];
    const [row] = await this.queries.query(`select * from ${table} where ${key} = $1`, [id]);
    if (row !== undefined) return camelCased(row);
    const field = `${kind}Id`;
    const detail = `there is no ${kind} ${id}`;
    throw new ProblemError({ status: 404, code: `${kind}-unknown`, detail, errors: [{ field, message: detail }] });
  }

  /** Events after a position in log order, with their exact envelopes. `next` continues; null at the end. */
  async events(filter: EventFilter): Promise<{ items: readonly Resource[]; next: number | null }> {
    const where = new Conditions();
    where.add('seq > ?', filter.after);
    for (const column of ['kind', 'type', 'subject', 'corr'] as const) {
      const value = filter[column];
      if (value !== undefined) where.add(`${column} = ?`, value);
    }
    const page = `select seq, subject, id, type, time, actor, cause, corr, bytes from event ${where.text} order by seq limit ${where.next}`;
    const text = `select * from (select *, sum(length(bytes)) over (order by seq) - length(bytes) as before from (${page}) page) sized
      where before < ${EVENT_PAGE_BYTES} order by seq`;
    const rows = await this.queries.query<EventColumns>(text, [...where.values, filter.limit + 1]);
    const items = rows.slice(0, filter.limit).map(eventResource);
    const [last] = rows.slice(0, filter.limit).slice(-1);
    const whole = rows.length <= filter.limit && (await this.#isLast(where, last));
    return { items, next: whole || last === undefined ? null : last.seq };
  }

  /** Counts for the status answer. */
  async counts(): Promise<Resource> {
    const [row] = await this.queries.query(
      `select (select count(*) from app) as apps, (select count(*) from release) as releases,
        (select count(*) from host) as hosts, (select count(*) from instance where state <> 'removed') as instances,
        (select count(*) from operation where state in ('requested', 'waiting')) as open_operations`,
    );
    return camelCased(row ?? {});
  }

  /** A page may have ended by size rather than by count: ask whether anything follows. */
  async #isLast(where: Conditions, last: EventColumns | undefined): Promise<boolean> {
    if (last === undefined) return true;
    const [, ...rest] = where.values;
    const rows = await this.queries.query(`select 1 from event ${where.text} limit 1`, [last.seq, ...rest]);
    return rows.length === 0;
  }
}

interface EventColumns {
  readonly seq: number;
  readonly bytes: Buffer;
  readonly before: number;
}

function eventResource({ bytes, before: _, ...columns }: EventColumns): Resource {
  return { ...camelCased(columns), envelope: JSON.parse(bytes.toString('utf8')) as unknown };
}

/** `and`-ed conditions with numbered parameters; each `?` of a condition becomes the next number. */
class Conditions {
  readonly #parts: string[] = [];
  readonly values: unknown[] = [];

  add(condition: string, value: unknown): void {
    this.values.push(value);
    this.#parts.push(condition.replace('?', `$${this.values.length}`));
  }

  get text(): string {
    return this.#parts.length === 0 ? '' : `where ${this.#parts.join(' and ')}`;
  }

  /** The parameter after the conditions' own. */
  get next(): string {
    return `$${this.values.length + 1}`;
  }
}

function camelCased(row: object): Resource {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [
      name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
      value as unknown,
    ]),
  );
}
