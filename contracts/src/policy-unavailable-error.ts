/** The policy could not be read whole: its source did not answer, or gave what is no answer. A retry can help. */
export class PolicyUnavailableError extends Error {
  readonly code = 'policy-unavailable';
  readonly retryable = true;
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'PolicyUnavailableError';
  }
}
