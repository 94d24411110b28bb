import type { JudgedEvidence } from './judge-evidence.js';

/** What the transport knows of a client. */
export interface WireCaller {
  /** Remote IP address. */
  readonly address: string;
  /** Evidence in its client certificate, all checks passed; null: it presented none. */
  readonly judged: JudgedEvidence | null;
  /** Token of `Authorization: Bearer` or `X-Admin-Token`. */
  readonly adminToken: string | undefined;
}
