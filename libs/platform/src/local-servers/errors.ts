/** What went wrong with a local server. `code` is stable; `retryable` says whether the same call can succeed later. */
export class LocalServerError extends Error {
  constructor(
    readonly code:
      | 'binary-missing'
      | 'version-too-old'
      | 'download-failed'
      | 'port-taken'
      | 'already-running'
      | 'start-failed'
      | 'data-damaged',
    message: string,
    readonly retryable = false,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'LocalServerError';
  }
}
