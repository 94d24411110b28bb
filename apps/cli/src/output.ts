import Table from 'cli-table3';
import { misuse } from './failure.js';

export type OutputForm = 'table' | 'wide' | 'json' | 'name';
const FORMS: readonly string[] = ['table', 'wide', 'json', 'name'];

export function outputForm(value: string): OutputForm {
  if (!FORMS.includes(value)) throw misuse(`-o ${value}: unknown output form`, `use one of ${FORMS.join(', ')}`);
  return value as OutputForm;
}

/** A column: its heading, how to read it from a row, and whether it shows only with `-o wide`. */
export interface Column<Row> {
  readonly heading: string;
  readonly value: (row: Row) => string;
  readonly wide?: boolean;
}

/** Prints rows as a plain table, as JSON (stable: it is an API), or as ids only. */
export function printRows<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  form: OutputForm,
  emptyHint: string,
): void {
  if (form === 'json') {
    print(JSON.stringify(rows, null, 2));
    return;
  }
  const shown = columns.filter((column) => form === 'wide' || column.wide !== true);
  if (form === 'name' || rows.length === 0) {
    print(form === 'name' ? rows.map((row) => columns[0]?.value(row) ?? '').join('\n') : emptyHint);
    return;
  }
  const table = new Table({
    head: shown.map((column) => column.heading.toUpperCase()),
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 2 },
    chars: Object.fromEntries(
      [
        'top',
        'top-mid',
        'top-left',
        'top-right',
        'bottom',
        'bottom-mid',
        'bottom-left',
        'bottom-right',
        'left',
        'left-mid',
        'mid',
        'mid-mid',
        'right',
        'right-mid',
        'middle',
      ].map((name) => [name, '']),
    ),
  });
  for (const row of rows) table.push(shown.map((column) => column.value(row)));
  print(table.toString().trimEnd());
}

/** Prints one object: JSON, or aligned `name  value` lines. */
export function printOne(fields: Readonly<Record<string, unknown>>, form: OutputForm): void {
  if (form === 'json') {
    print(JSON.stringify(fields, null, 2));
    return;
  }
  const width = Math.max(...Object.keys(fields).map((key) => key.length));
  for (const [key, value] of Object.entries(fields)) print(`${key.padEnd(width)}  ${text(value)}`);
}

export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Progress and remarks go to stderr, so that stdout stays parseable. */
export function note(line: string): void {
  process.stderr.write(`${line}\n`);
}

export function text(value: unknown): string {
  if (value === null || value === undefined || value === '') return '-';
  if (Array.isArray(value)) return value.length === 0 ? '-' : value.map(text).join(', ');
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** First 10 characters of a long id in tables; the whole id with `-o wide` or `-o json`. */
export function short(id: unknown): string {
  const whole = text(id);
  return whole.length > 12 ? `${whole.slice(0, 10)}…` : whole;
}

/** Age such as `42s`, `7m`, `3h`, `5d`. */
export function age(time: unknown, now: number = Date.now()): string {
  const then = Date.parse(text(time));
  if (Number.isNaN(then)) return '-';
  const seconds = Math.max(0, Math.round((now - then) / 1000));
  if (seconds < 90) return `${seconds}s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)}m`;
  return seconds < 129_600 ? `${Math.round(seconds / 3600)}h` : `${Math.round(seconds / 86_400)}d`;
}
