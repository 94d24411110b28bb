/**
 * One boot-time entry of a TDX event log in dstack's JSON form (key names included). `digest` and `event_payload` are
 * lower-case hex; a verifier takes only `digest` from boot events, the payload says what was hashed.
 */
export interface BootEvent {
  /** Measurement register, 0-2 (RTMR number, not the CCEL index). */
  readonly imr: 0 | 1 | 2;
  /** TCG event type. */
  readonly event_type: number;
  /** SHA-384, 96 hex digits. */
  readonly digest: string;
  readonly event: string;
  readonly event_payload: string;
}
