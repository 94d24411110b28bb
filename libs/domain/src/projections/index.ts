/**
 * Projections: what each event changes in the tables, as pure functions from event to row changes. The invariant they
 * keep: the rows are a function of the events and their order alone, so that the live projector and a replay, which
 * apply the same changes, end with equal tables. They are total: any event that passed the log's own checks projects,
 * whatever its author claims; a lie can leave no more than a wrong row about what that author may speak of.
 */
export { MemoryTables } from './memory-tables.js';
export { projectEvent } from './project-event.js';
export type { ProjectedEvent } from './projected-event.js';
export type { ConditionOf, InsertRow, MatchOf, RowChange, UpdateRows } from './row-change.js';
export { storable } from './storable.js';
export {
  type CellValue,
  type ColumnDefinition,
  type ColumnKind,
  OPEN_OPERATION,
  type OperationStep,
  projectionTables,
  type RowOf,
  type TableName,
  tableNames,
} from './tables.js';
