/**
 * The wire of dstack's own key server: RA-TLS HTTPS with prpc, so that a dstack guest boots against this KMS unchanged
 * (dstack-kms §2-§9, §19). The invariant it keeps is the KMS's own: no key or certificate leaves before the event that says so
 * is in the log and a signed checkpoint covers it. What is stricter than dstack is in docs/rfc.
 */

export { DstackWire } from './dstack-wire.js';
export { dstackWireProvider } from './dstack-wire.provider.js';
