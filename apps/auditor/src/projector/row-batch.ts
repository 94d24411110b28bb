import {
  type CellValue,
  type ColumnDefinition,
  type MatchOf,
  OPEN_OPERATION,
  projectionTables,
  type RowChange,
  type TableName,
  tableNames,
  type UpdateRows,
} from '@vouch/domain';
import type { SqlSession } from '../database/sql-session.js';
import { timestampText } from './timestamp-text.js';

type Row = Record<string, CellValue>;
type Match = Readonly<Record<string, CellValue>>;

interface HeldRow {
  row: Row;
  isChanged: boolean;
}

/**
 * The rows a batch of changes speaks of, changed in memory and written back once: two statements per table and batch
 * instead of one per change. The meaning of a change is that of the in-memory tables of the domain; a test holds the two
 * together. Rows are found by primary key, open operations also by their target; a change that would look for rows in
 * another way is refused, because rows that were not loaded would be missed.
 */
export class RowBatch {
  readonly #tables = new Map<TableName, Map<string, HeldRow>>(tableNames.map((table) => [table, new Map()]));
  /** Keys of held operations by their target. */
  readonly #byTarget = new Map<string, Set<string>>();

  /** Loads what `changes` may touch. The session is inside the transaction that writes the batch. */
  static async load(session: SqlSession, changes: readonly RowChange[]): Promise<RowBatch> {
    const batch = new RowBatch();
    const wanted = new Map<TableName, Set<string>>();
    const targets = new Set<string>();
    const want = (table: TableName, key: string) => {
      const keys = wanted.get(table) ?? new Set();
      wanted.set(table, keys.add(key));
    };
    const wantMatch = (table: TableName, match: Match) => {
      const key = keyOfMatch(table, match);
      if (key !== undefined) want(table, key);
      else targets.add(targetOf(table, match));
    };
    for (const change of changes) {
      if (change.op === 'insert') want(change.table, String((change.row as Row)[keyColumn(change.table)]));
      else {
        for (const match of change.where) wantMatch(change.table, match as Match);
        if (change.given !== undefined) wantMatch(change.given.table, change.given.match as Match);
      }
    }
    for (const [table, keys] of wanted) await batch.#fetch(session, table, `${keyColumn(table)} = any($1)`, [...keys]);
    if (targets.size > 0) {
      const open = OPEN_OPERATION.map((state) => `'${state}'`).join(', ');
      await batch.#fetch(session, 'operation', `target = any($1) and state in (${open})`, [...targets]);
    }
    return batch;
  }

  apply(changes: readonly RowChange[]): void {
    for (const change of changes) {
      if (change.op === 'insert') this.#insert(change.table, change.row as Row);
      else this.#update(change as unknown as UpdateRows<TableName>);
    }
  }

  /** Writes every changed row. */
  async flush(session: SqlSession): Promise<void> {
    for (const [table, rows] of this.#tables) {
      const changed = [...rows.values()].filter(({ isChanged }) => isChanged).map(({ row }) => row);
      if (changed.length === 0) continue;
      const names = Object.keys(projectionTables[table].columns);
      const assigned = names.map((name) => `${name} = excluded.${name}`).join(', ');
      await session.query(
        `insert into ${table} (${names.join(', ')})
         select ${names.join(', ')} from json_populate_recordset(null::${table}, $1::json)
         on conflict (${keyColumn(table)}) do update set ${assigned}`,
        [JSON.stringify(changed)],
      );
    }
  }

  async #fetch(session: SqlSession, table: TableName, where: string, values: readonly string[]): Promise<void> {
    const { rows } = await session.query(`select row_to_json(t)::text as row from ${table} t where ${where}`, [values]);
    for (const { row } of rows) this.#hold(table, JSON.parse(String(row)) as Row, false);
  }

  #hold(table: TableName, row: Row, isChanged: boolean): void {
    const key = String(row[keyColumn(table)]);
    const rows = this.#rowsOf(table);
    if (rows.has(key)) return;
    rows.set(key, { row, isChanged });
    if (table !== 'operation') return;
    const target = String(row.target);
    this.#byTarget.set(target, (this.#byTarget.get(target) ?? new Set()).add(key));
  }

  /** A row whose key is taken stays as it is. */
  #insert(table: TableName, row: Row): void {
    this.#hold(table, stored(table, row), true);
  }

  #update({ table, where, given, set, append }: UpdateRows<TableName>): void {
    if (given !== undefined && this.#matching(given.table, [given.match as Match]).length === 0) return;
    for (const held of this.#matching(table, where as readonly Match[])) {
      const { row } = held;
      if (append !== undefined) {
        const list = row[append.column] as readonly object[];
        if (list.length >= append.max) continue;
        row[append.column] = [...list, append.item];
      }
      Object.assign(row, stored(table, set as Row));
      held.isChanged = true;
    }
  }

  /** Held rows that match at least one of `where`. */
  #matching(table: TableName, where: readonly Match[]): HeldRow[] {
    const rows = this.#rowsOf(table);
    const keys = new Set<string>();
    for (const match of where) {
      const key = keyOfMatch(table, match);
      const candidates = key === undefined ? (this.#byTarget.get(targetOf(table, match)) ?? []) : [key];
      for (const candidate of candidates) {
        const held = rows.get(candidate);
        if (held !== undefined && matches(held.row, match)) keys.add(candidate);
      }
    }
    return [...keys].flatMap((key) => rows.get(key) ?? []);
  }

  #rowsOf(table: TableName): Map<string, HeldRow> {
    const rows = this.#tables.get(table);
    if (rows === undefined) throw new TypeError(`there is no table ${table}`);
    return rows;
  }
}

/** Every projected table has one text column as its key. */
function keyColumn(table: TableName): string {
  const [column, ...more] = projectionTables[table].key as readonly string[];
  if (column === undefined || more.length > 0) throw new TypeError(`table ${table} does not have a key of one column`);
  return column;
}

function keyOfMatch(table: TableName, match: Match): string | undefined {
  const key = match[keyColumn(table)];
  return typeof key === 'string' ? key : undefined;
}

function targetOf(table: TableName, match: Match): string {
  const { target, state } = match;
  const isOpen = Array.isArray(state) && state.every((one) => (OPEN_OPERATION as readonly unknown[]).includes(one));
  if (table !== 'operation' || typeof target !== 'string' || !isOpen) {
    throw new TypeError(
      `a change of ${table} looks for rows by ${Object.keys(match).join(', ')}: no rule to load them`,
    );
  }
  return target;
}

function matches(row: Row, match: MatchOf<TableName>): boolean {
  return Object.entries(match as Match).every(([column, wanted]) =>
    Array.isArray(wanted)
      ? (wanted as readonly CellValue[]).includes(row[column] as CellValue)
      : row[column] === wanted,
  );
}

/** Values as JSON carries them into the database: only times need another form. */
function stored(table: TableName, row: Row): Row {
  const columns: Readonly<Record<string, ColumnDefinition>> = projectionTables[table].columns;
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [
      name,
      columns[name]?.kind === 'time' && value !== null ? timestampText(String(value)) : value,
    ]),
  );
}
