/**
 * A failed statement. `retryable` is true when the same work may succeed later (connection lost, server restarting, out
 * of space or connections); false when the statement itself is refused, which repeating cannot change.
 */
export class DatabaseError extends Error {
  readonly code = 'database-failed';
  constructor(
    message: string,
    /** SQLSTATE, five characters, or the system's error code; empty when neither is known. */
    readonly sqlState: string,
    /** Constraint a row violated, when that is the reason. */
    readonly constraint: string | undefined,
    readonly retryable: boolean,
  ) {
    super(message);
    this.name = 'DatabaseError';
  }
}

/** SQLSTATE classes that speak of the statement or its data: data exception, constraint violation, syntax or access. */
const STATEMENT_AT_FAULT = /^(22|23|42)/;

/** The error without its query and parameters: those hold whole events and must not reach a log. */
export function databaseError(error: unknown): DatabaseError {
  if (error instanceof DatabaseError) return error;
  const { code, constraint, message } = (error ?? {}) as { code?: unknown; constraint?: unknown; message?: unknown };
  const sqlState = typeof code === 'string' ? code : '';
  return new DatabaseError(
    typeof message === 'string' ? message : 'the database failed',
    sqlState,
    typeof constraint === 'string' ? constraint : undefined,
    !STATEMENT_AT_FAULT.test(sqlState),
  );
}
