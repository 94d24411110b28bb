import { projectionTables, tableNames } from '@vouch/domain';

/** A table as a replay compares it: rows in the order of the key, every column as its canonical text. */
export interface ComparedTable {
  readonly name: string;
  readonly key: readonly { readonly column: string; readonly isNumber: boolean }[];
  readonly columns: readonly string[];
  /** Condition that selects the rows of the first $1 events; undefined: the table only exists at its full position. */
  readonly upTo?: string;
}

/** Copied events without their bytes, which are compared with the log itself. */
export const EVENT_TABLE: ComparedTable = {
  name: 'event',
  key: [{ column: 'seq', isNumber: true }],
  columns: ['subject', 'id', 'type', 'kind', 'time', 'actor', 'cause', 'corr', 'leaf_hash'],
  upTo: 'seq <= $1::bigint',
};

export const MERKLE_TABLE: ComparedTable = {
  name: 'merkle_node',
  key: [
    { column: 'level', isNumber: true },
    { column: 'index', isNumber: true },
  ],
  columns: ['hash'],
  upTo: '(index + 1) * (1::bigint << level) <= $1::bigint',
};

/** The projected tables, in the order of their definition. */
export const PROJECTED_TABLES: readonly ComparedTable[] = tableNames.map((name) => {
  const { key, columns } = projectionTables[name];
  const keyColumns: readonly string[] = key;
  return {
    name,
    key: keyColumns.map((column) => ({ column, isNumber: false })),
    columns: Object.keys(columns).filter((column) => !keyColumns.includes(column)),
  };
});
