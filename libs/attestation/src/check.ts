/** `skipped` means the check did not run; it is never reported as `pass`. */
export type CheckOutcome = 'pass' | 'fail' | 'skipped';

/** One check of a verification, in the shape the events carry: name `[a-z0-9][a-z0-9.-]*`, detail at most 2000 characters. */
export interface Check {
  readonly name: string;
  readonly outcome: CheckOutcome;
  readonly detail: string;
}

/** What every stage returns when it refuses: all checks of the stage, the one that failed, and a stable code. */
export interface Refused {
  readonly ok: false;
  readonly checks: readonly Check[];
  readonly failed: Check;
  /** Stable, upper snake case, for example `TCB_NOT_SUPPORTED`. */
  readonly code: string;
}
