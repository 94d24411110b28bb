import type { VersionedAttestation } from '../encodings/versioned-attestation.js';

/** TDX or SGX evidence as it came, taken apart but not verified. */
export interface AttestationEvidence {
  /** What it was read from, for people: `quote`, `quote and event log`, `attestation`, `RA-TLS certificate`. */
  readonly form: string;
  readonly quote: Uint8Array;
  /** JSON text of the event log; null when the evidence has none. */
  readonly eventLog: string | null;
  /** The attestation the quote came in, with its own event log; then `eventLog` is null. */
  readonly attestation: VersionedAttestation | null;
  /** vm_config JSON text; null when the evidence has none. */
  readonly vmConfig: string | null;
  /** DER SubjectPublicKeyInfo of the RA-TLS certificate that carried it: the report data must bind this key. */
  readonly certificateKey: Uint8Array | null;
}
