/** The NATS server is older than the floor; its bugs lose acknowledged data (eventing §1). */
export class ServerVersionError extends Error {
  readonly code = 'nats-server-too-old';
  readonly retryable = false;
  constructor(
    readonly found: string,
    readonly floor: string,
  ) {
    super(
      `nats-server ${found} is older than ${floor}, which this system needs. Install nats-server ${floor} or newer ` +
        '(Debian trixie has it) or set NATS_SERVER_BIN to such a binary, and start it with the same store folder.',
    );
    this.name = 'ServerVersionError';
  }
}

/** A stream or consumer on the server is not configured as defined, and could not be made so. */
export class BusConfigurationError extends Error {
  readonly code = 'bus-configuration';
  readonly retryable = false;
  constructor(
    readonly resource: string,
    readonly field: string,
    wanted: unknown,
    found: unknown,
  ) {
    super(
      `${resource}: ${field} should be ${JSON.stringify(wanted)} but the server has ${JSON.stringify(found)}. ` +
        'Correct it with the migration user, or move the store folder away and restore from a backup.',
    );
    this.name = 'BusConfigurationError';
  }
}
