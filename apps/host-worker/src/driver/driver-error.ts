/** Why a driver could not do what was asked. `code` goes into vm.launch-failed. */
export class DriverError extends Error {
  constructor(
    readonly code:
      | 'simulator-unavailable'
      | 'simulator-refused'
      | 'guest-image-unreadable'
      | 'socket-path-too-long'
      | 'guest-would-not-end'
      | 'spawn-failed',
    message: string,
    readonly retryable: boolean,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'DriverError';
  }
}
