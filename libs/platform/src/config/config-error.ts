/** Settings that are missing or wrong. `problems` has one line per variable, each naming it and saying what to do. */
export class ConfigError extends Error {
  readonly code = 'bad-configuration';
  readonly retryable = false;
  constructor(readonly problems: readonly string[]) {
    super(problems.join('; '));
    this.name = 'ConfigError';
  }
}
