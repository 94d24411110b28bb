/** Failure of a request over the bus, as the other side (or the bus itself) named it. */
export class BusRequestError extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly retryable: boolean,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'BusRequestError';
  }
}
