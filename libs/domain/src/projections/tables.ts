import type { Check, policyNames, Resources } from '../event-catalog.js';

/**
 * The projected tables: their columns, kinds and primary keys. The migrations create exactly these; a test compares the
 * two. `time` is an ISO 8601 UTC text with milliseconds here and a timestamptz in the database; `int` is a 64-bit integer.
 */
export type ColumnKind = 'text' | 'int' | 'bool' | 'time' | 'json' | 'text[]' | 'int[]';

/** One line of an operation's story: what happened, when its author says it did, and where in the log it stands. */
export interface OperationStep {
  readonly time: string;
  readonly type: string;
  readonly subject: string;
  readonly summary: string;
  readonly seq: number;
}

export interface ColumnDefinition<V = unknown> {
  readonly kind: ColumnKind;
  readonly nullable: boolean;
  /** Carries the TypeScript type of the column; never set. */
  readonly value?: V;
}

export type CellValue = string | number | boolean | null | readonly string[] | readonly number[] | object;

const text = <V extends string = string>(): ColumnDefinition<V> => ({ kind: 'text', nullable: false });
const int = (): ColumnDefinition<number> => ({ kind: 'int', nullable: false });
const bool = (): ColumnDefinition<boolean> => ({ kind: 'bool', nullable: false });
const time = (): ColumnDefinition<string> => ({ kind: 'time', nullable: false });
const json = <V extends object>(): ColumnDefinition<V> => ({ kind: 'json', nullable: false });
const texts = (): ColumnDefinition<readonly string[]> => ({ kind: 'text[]', nullable: false });
const ints = (): ColumnDefinition<readonly number[]> => ({ kind: 'int[]', nullable: false });
const orNull = <V>({ kind }: ColumnDefinition<V>): ColumnDefinition<V | null> => ({ kind, nullable: true });

export type InstanceProjectedState =
  | 'created'
  | 'placed'
  | 'launching'
  | 'attesting'
  | 'granted'
  | 'denied'
  | 'healthy'
  | 'stopping'
  | 'stopped'
  | 'failed'
  | 'removed';

/** States in which an operation can still change. */
export const OPEN_OPERATION = ['requested', 'waiting'] as const;

export const projectionTables = {
  app: {
    key: ['app_id'],
    columns: { app_id: text(), name: text(), owner: text(), registered_at: time(), seq: int() },
  },
  release: {
    key: ['release_id'],
    columns: {
      release_id: text(),
      app_id: text(),
      compose_hash: text(),
      name: text(),
      /** The exact app-compose text, but for characters a database cannot hold (see storable); the event has the bytes. */
      app_compose: text(),
      resources: json<Resources>(),
      /** Hex; empty when the app has none. */
      encrypted_env: text(),
      ports: ints(),
      created_at: time(),
      seq: int(),
    },
  },
  host: {
    key: ['host_id'],
    columns: {
      host_id: text(),
      driver: text<'process' | 'qemu'>(),
      vcpu: int(),
      memory_mib: int(),
      cordoned: bool(),
      cordon_reason: text(),
      unsafe: texts(),
      registered_at: time(),
      seq: int(),
    },
  },
  instance: {
    key: ['instance_id'],
    columns: {
      instance_id: text(),
      app_id: text(),
      release_id: text(),
      compose_hash: text(),
      seed: text(),
      /** Null until placed. */
      host_id: orNull(text()),
      /** Placement epoch; 0 until placed. */
      epoch: int(),
      address: orNull(text()),
      state: text<InstanceProjectedState>(),
      /** Whether a guest of this epoch was seen running: its launch was reported and its end was not. */
      running: bool(),
      desired: text<'running' | 'stopped' | 'removed'>(),
      reason: text(),
      ports: ints(),
      created_at: time(),
      updated_at: time(),
      seq: int(),
    },
  },
  operation: {
    key: ['operation_id'],
    columns: {
      operation_id: text(),
      command: text(),
      principal: text(),
      target: text(),
      state: text<'requested' | 'waiting' | 'succeeded' | 'failed'>(),
      code: text(),
      reason: text(),
      result: orNull(json<object>()),
      requested_at: time(),
      finished_at: orNull(time()),
      deadline: time(),
      request_hash: text(),
      steps: json<readonly OperationStep[]>(),
      seq: int(),
    },
  },
  key_grant: {
    key: ['request_id'],
    columns: {
      request_id: text(),
      /** Position of the grant event. */
      grant_seq: int(),
      instance_id: text(),
      app_id: text(),
      host_id: text(),
      epoch: int(),
      outcome: text<'issued' | 'denied'>(),
      failed_check: orNull(text()),
      reason: orNull(text()),
      checks: json<readonly Check[]>(),
      policy: orNull(json<object>()),
      compose_hash: orNull(text()),
      unsafe: texts(),
      decided_at: time(),
    },
  },
  policy_change: {
    key: ['change_id'],
    columns: {
      /** Id of the policy.changed event. */
      change_id: text(),
      chain_id: int(),
      /** DstackKms. */
      contract: text(),
      /** Null for a change of DstackKms itself. */
      app_id: orNull(text()),
      name: text<(typeof policyNames)[number]>(),
      value: text(),
      enabled: bool(),
      block: int(),
      block_hash: text(),
      block_time: time(),
      transaction: text(),
      log_index: int(),
      /** True when the chain was reorganised and the change is not part of it any more. */
      orphaned: bool(),
      seq: int(),
    },
  },
} as const;

export type TableName = keyof typeof projectionTables;
export const tableNames = Object.keys(projectionTables) as readonly TableName[];

type Columns<T extends TableName> = (typeof projectionTables)[T]['columns'];
type ValueOf<C> = C extends ColumnDefinition<infer V> ? V : never;
export type RowOf<T extends TableName> = { readonly [C in keyof Columns<T>]: ValueOf<Columns<T>[C]> };
