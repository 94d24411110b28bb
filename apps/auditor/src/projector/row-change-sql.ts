import {
  type CellValue,
  type ColumnDefinition,
  type ColumnKind,
  type MatchOf,
  projectionTables,
  type RowChange,
  type TableName,
  type UpdateRows,
} from '@vouch/domain';

export interface SqlStatement {
  readonly sql: string;
  readonly parameters: readonly unknown[];
}

const SQL_TYPES: Readonly<Record<ColumnKind, string>> = {
  text: 'text',
  int: 'bigint',
  bool: 'boolean',
  time: 'timestamptz',
  json: 'jsonb',
  'text[]': 'text[]',
  'int[]': 'integer[]',
};

/** The one SQL statement of a row change. Live projection and replay both use it. Names come from the table list only. */
export function rowChangeSql(change: RowChange): SqlStatement {
  return change.op === 'insert'
    ? insertSql(change.table, change.row as Readonly<Record<string, CellValue>>)
    : updateSql(change as unknown as UpdateRows<TableName>);
}

function insertSql(table: TableName, row: Readonly<Record<string, CellValue>>): SqlStatement {
  const { columns, key } = projectionTables[table];
  const names = Object.keys(columns);
  const values = new Parameters();
  const places = names.map((name) => values.add(kindOf(table, name), row[name] ?? null));
  return {
    sql: `insert into ${table} (${names.join(', ')}) values (${places.join(', ')}) on conflict (${key.join(', ')}) do nothing`,
    parameters: values.list,
  };
}

function updateSql({ table, where, given, set, append }: UpdateRows<TableName>): SqlStatement {
  const values = new Parameters();
  const changes = Object.entries(set as Record<string, CellValue>).map(
    ([name, value]) => `${name} = ${values.add(kindOf(table, name), value)}`,
  );
  const conditions = [`(${where.map((match) => matchSql(table, match, values)).join(' or ')})`];
  if (append !== undefined) {
    const { column, item, max } = append;
    changes.push(`${column} = ${column} || jsonb_build_array(${values.add('json', item)})`);
    conditions.push(`jsonb_array_length(${column}) < ${values.add('int', max)}`);
  }
  if (given !== undefined) {
    conditions.push(`exists (select from ${given.table} where ${matchSql(given.table, given.match, values)})`);
  }
  return {
    sql: `update ${table} set ${changes.join(', ')} where ${conditions.join(' and ')}`,
    parameters: values.list,
  };
}

function matchSql(table: TableName, match: MatchOf<TableName>, values: Parameters): string {
  const terms = Object.entries(match as Record<string, CellValue>).map(([name, wanted]) => {
    const kind = kindOf(table, name);
    if (!Array.isArray(wanted)) return `${name} = ${values.add(kind, wanted)}`;
    return `${name} in (${wanted.map((one: CellValue) => values.add(kind, one)).join(', ')})`;
  });
  return `(${terms.join(' and ')})`;
}

function kindOf(table: TableName, column: string): ColumnKind {
  const columns: Readonly<Record<string, ColumnDefinition>> = projectionTables[table].columns;
  const definition = columns[column];
  if (definition === undefined) throw new TypeError(`table ${table} has no column ${column}`);
  return definition.kind;
}

class Parameters {
  readonly list: unknown[] = [];

  /** Adds a value and returns its typed placeholder. */
  add(kind: ColumnKind, value: CellValue): string {
    this.list.push(value === null ? null : parameterOf(kind, value));
    return `$${this.list.length}::${SQL_TYPES[kind]}`;
  }
}

function parameterOf(kind: ColumnKind, value: CellValue): unknown {
  if (kind === 'json') return JSON.stringify(value);
  if (kind === 'time') return timestampText(String(value));
  return value;
}

/** ISO 8601 UTC as Postgres reads it: the year 0000 of ISO is 1 BC there. */
export function timestampText(iso: string): string {
  return iso.startsWith('0000-') ? `0001-${iso.slice(5)} BC` : iso;
}
