import type { TlsAlert } from '../tls/tls-alert.js';

/** Why a connection was not carried. Bounded: it labels a metric. */
export type RefusalReason =
  | 'not-tls'
  | 'client-hello-invalid'
  | 'client-hello-timeout'
  | 'no-server-name'
  | 'name-invalid'
  | 'domain-unknown'
  | 'id-unknown'
  | 'no-route'
  | 'port-not-granted'
  | 'handshake-failed'
  | 'handshake-timeout'
  | 'upstream-unreachable'
  | 'too-many-connections'
  | 'client-left'
  | 'draining';

/** A refused connection: the reason for operators, the alert for the client. */
export class ConnectionRefusedError extends Error {
  readonly retryable = false;
  constructor(
    readonly code: RefusalReason,
    readonly alert: TlsAlert = 'unrecognizedName',
  ) {
    super(code);
    this.name = 'ConnectionRefusedError';
  }
}
