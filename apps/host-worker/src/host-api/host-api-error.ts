/** What a guest is told when the host refuses: HTTP status, stable code, whether to try again. */
export class HostApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly retryable: boolean,
  ) {
    super(message);
    this.name = 'HostApiError';
  }
}
