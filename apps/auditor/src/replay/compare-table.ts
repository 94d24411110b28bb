import type { SqlSession } from '../database/sql-session.js';
import type { ComparedTable } from './compared-tables.js';
import { DifferenceFound } from './difference.js';

type TextRow = Readonly<Record<string, string | null>>;

const PAGE_ROWS = 500;
const SHOWN_CHARS = 200;

/**
 * Compares a live table with its replay row by row, in key order; both sessions are inside a transaction. With `upTo`,
 * only rows of the first so many events. Returns the number of rows. Throws DifferenceFound at the first difference.
 */
export async function compareTable(
  table: ComparedTable,
  live: SqlSession,
  replayed: SqlSession,
  upTo: number,
): Promise<number> {
  const [left, right] = [rowsOf(table, live, upTo), rowsOf(table, replayed, upTo)];
  let [ours, theirs] = [await left.next(), await right.next()];
  let count = 0;
  while (!ours.done || !theirs.done) {
    const order = ours.done ? 1 : theirs.done ? -1 : compareKeys(table, ours.value, theirs.value);
    if (order !== 0) {
      const row = order < 0 ? ours.value : theirs.value;
      throw new DifferenceFound({
        kind: order < 0 ? 'row-extra' : 'row-missing',
        table: table.name,
        key: keyOf(table, row as TextRow),
      });
    }
    compareColumns(table, ours.value as TextRow, theirs.value as TextRow);
    count += 1;
    [ours, theirs] = [await left.next(), await right.next()];
  }
  return count;
}

function compareColumns(table: ComparedTable, live: TextRow, replayed: TextRow): void {
  for (const column of table.columns) {
    const [is, should] = [live[column] ?? null, replayed[column] ?? null];
    if (is === should) continue;
    throw new DifferenceFound({
      kind: 'row-differs',
      table: table.name,
      key: keyOf(table, live),
      column,
      ...shownApart(is, should),
    });
  }
}

/** Both texts, shortened so that the place where they part is visible. */
function shownApart(live: string | null, replayed: string | null): { live: string | null; replayed: string | null } {
  let from = 0;
  if (live !== null && replayed !== null) {
    while (from < live.length && live[from] === replayed[from]) from += 1;
    from = Math.max(0, from - SHOWN_CHARS / 4);
  }
  const shown = (text: string | null) =>
    text === null ? null : `${from === 0 ? '' : '…'}${text.slice(from, from + SHOWN_CHARS)}`;
  return { live: shown(live), replayed: shown(replayed) };
}

/** Rows through a server-side cursor: memory stays small whatever the table's size. */
async function* rowsOf(table: ComparedTable, session: SqlSession, upTo: number): AsyncGenerator<TextRow, undefined> {
  const selected = [...table.key.map(({ column }) => column), ...table.columns].map(
    (name) => `${name}::text as ${name}`,
  );
  const order = table.key.map(({ column, isNumber }) =>
    isNumber ? `${table.name}.${column}` : `${column} collate "C"`,
  );
  const where = table.upTo === undefined ? '' : ` where ${table.upTo.replace('$1', String(upTo))}`;
  const cursor = `compare_${table.name}`;
  await session.query(
    `declare ${cursor} no scroll cursor for select ${selected.join(', ')} from ${table.name}${where} order by ${order.join(', ')}`,
  );
  for (;;) {
    const { rows } = await session.query(`fetch ${PAGE_ROWS} from ${cursor}`);
    yield* rows as readonly TextRow[];
    if (rows.length < PAGE_ROWS) break;
  }
  await session.query(`close ${cursor}`);
  return undefined;
}

/** Order of the rows as the database orders them: numbers as numbers, texts by their UTF-8 bytes (collation "C"). */
function compareKeys(table: ComparedTable, a: TextRow, b: TextRow): number {
  for (const { column, isNumber } of table.key) {
    const [left, right] = [a[column] ?? '', b[column] ?? ''];
    const order = isNumber ? Number(left) - Number(right) : Buffer.compare(Buffer.from(left), Buffer.from(right));
    if (order !== 0) return order;
  }
  return 0;
}

function keyOf(table: ComparedTable, row: TextRow): Record<string, string> {
  return Object.fromEntries(table.key.map(({ column }) => [column, row[column] ?? '']));
}
