/** Exit codes of the guest agent, read by the host worker. */
export const EXIT = {
  stopped: 0,
  failed: 1,
  usage: 64,
  denied: 3,
} as const;

/** Why the guest cannot go on. `code` is stable and goes to the host with the message; neither ever holds a secret. */
export class AgentFailure extends Error {
  constructor(
    readonly code:
      | 'usage'
      | 'already-running'
      | 'shared-file-invalid'
      | 'app-compose-invalid'
      | 'app-compose-unsupported'
      | 'sys-config-invalid'
      | 'instance-info-invalid'
      | 'measurement-mismatch'
      | 'mr-config-mismatch'
      | 'quote-invalid'
      | 'host-refused'
      | 'tsm-unavailable'
      | 'kms-root-unknown'
      | 'grant-unverifiable'
      | 'grant-denied'
      | 'encrypted-env-invalid'
      | 'runner-unavailable',
    message: string,
    /** True when starting the guest again, unchanged, could succeed. */
    readonly retryable: boolean = false,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'AgentFailure';
  }

  get exitCode(): number {
    if (this.code === 'grant-denied') return EXIT.denied;
    return this.code === 'usage' ? EXIT.usage : EXIT.failed;
  }
}
