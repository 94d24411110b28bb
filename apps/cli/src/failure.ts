/**
 * Exit codes, the same for every command:
 * 0 ok, 1 misuse, 2 bad evidence or a difference found, 3 network or service unavailable, 4 conflict, 5 denied by policy,
 * 6 time-out with the operation still running.
 */
export const exitCodes = { ok: 0, misuse: 1, badEvidence: 2, network: 3, conflict: 4, denied: 5, timeout: 6 } as const;

/** What a command tells its user when it cannot go on: what went wrong, and what to do next. */
export class CliFailure extends Error {
  constructor(
    readonly exitCode: (typeof exitCodes)[keyof typeof exitCodes],
    message: string,
    readonly nextStep = '',
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'CliFailure';
  }
}

export const misuse = (message: string, nextStep = ''): CliFailure =>
  new CliFailure(exitCodes.misuse, message, nextStep);
