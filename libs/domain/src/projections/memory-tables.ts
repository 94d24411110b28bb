import type { MatchOf, RowChange, UpdateRows } from './row-change.js';
import { type CellValue, projectionTables, type RowOf, type TableName, tableNames } from './tables.js';

type AnyRow = Record<string, CellValue>;

/** The tables in memory, with the same meaning of a row change as the database: for tests, tools and small folds. */
export class MemoryTables {
  readonly #rows = new Map<TableName, Map<string, AnyRow>>(tableNames.map((table) => [table, new Map()]));

  apply(changes: readonly RowChange[]): void {
    for (const change of changes) {
      if (change.op === 'insert') this.#insert(change.table, change.row as AnyRow);
      else this.#update(change as unknown as UpdateRows<TableName>);
    }
  }

  /** All rows of a table, ordered by primary key. */
  rows<T extends TableName>(table: T): RowOf<T>[] {
    const rows = [...this.#table(table).entries()].sort(([a], [b]) => (a < b ? -1 : 1));
    return rows.map(([, row]) => ({ ...row }) as RowOf<T>);
  }

  #insert(table: TableName, row: AnyRow): void {
    const rows = this.#table(table);
    const key = JSON.stringify(projectionTables[table].key.map((column) => row[column]));
    if (!rows.has(key)) rows.set(key, { ...row });
  }

  #update(change: UpdateRows<TableName>): void {
    const { table, where, given, set, append } = change;
    if (given !== undefined && !this.#candidates(given.table).some((row) => matches(row, given.match))) return;
    for (const row of this.#candidates(table)) {
      if (!where.some((match) => matches(row, match))) continue;
      if (append !== undefined) {
        const list = row[append.column] as readonly object[];
        if (list.length >= append.max) continue;
        row[append.column] = [...list, append.item];
      }
      Object.assign(row, set);
    }
  }

  #candidates(table: TableName): AnyRow[] {
    return [...this.#table(table).values()];
  }

  #table(table: TableName): Map<string, AnyRow> {
    const rows = this.#rows.get(table);
    if (rows === undefined) throw new TypeError(`there is no table ${table}`);
    return rows;
  }
}

function matches(row: AnyRow, match: MatchOf<TableName>): boolean {
  return Object.entries(match).every(([column, wanted]) =>
    Array.isArray(wanted) ? wanted.includes(row[column]) : row[column] === wanted,
  );
}
