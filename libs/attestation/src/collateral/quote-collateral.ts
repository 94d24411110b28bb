/**
 * QuoteCollateralV3: what a PCCS gives for one platform, as strings, so that it can be stored in an event and verified
 * again later. `tcb_info` and `qe_identity` are the exact signed bytes; signatures are 128 hex digits (r ‖ s); CRLs are
 * DER in hex; chains are PEM.
 */
export interface QuoteCollateralV3 {
  readonly pck_crl_issuer_chain: string;
  readonly root_ca_crl: string;
  readonly pck_crl: string;
  readonly tcb_info_issuer_chain: string;
  readonly tcb_info: string;
  readonly tcb_info_signature: string;
  readonly qe_identity_issuer_chain: string;
  readonly qe_identity: string;
  readonly qe_identity_signature: string;
  /** Only for quotes whose certification data holds no chain (types 1-4); ignored for type 5. */
  readonly pck_certificate_chain?: string;
}
