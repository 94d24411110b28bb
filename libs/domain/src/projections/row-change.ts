import type { RowOf, TableName } from './tables.js';

/** Column values a row must have; a list means "one of these". All named columns must agree. */
export type MatchOf<T extends TableName> = { readonly [C in keyof RowOf<T>]?: RowOf<T>[C] | readonly RowOf<T>[C][] };

/** Holds when some row of `table` matches. */
export type ConditionOf<T extends TableName> = { readonly table: T; readonly match: MatchOf<T> };

/** Adds a row. When its key is taken the first row stays: a repeated creation changes nothing. */
export interface InsertRow<T extends TableName> {
  readonly op: 'insert';
  readonly table: T;
  readonly row: RowOf<T>;
}

/**
 * Changes every row that matches at least one of `where`, if `given` holds. No matching row is not an error.
 * `append` adds one item to a JSON list column and leaves rows whose list has `max` items entirely unchanged.
 */
export interface UpdateRows<T extends TableName> {
  readonly op: 'update';
  readonly table: T;
  readonly where: readonly MatchOf<T>[];
  readonly given?: ConditionOf<'instance'>;
  readonly set: Partial<RowOf<T>>;
  readonly append?: { readonly column: keyof RowOf<T> & string; readonly item: object; readonly max: number };
}

/** One change of one table. Changes of an event are applied in order, each seeing the ones before. */
export type RowChange = { [T in TableName]: InsertRow<T> | UpdateRows<T> }[TableName];
