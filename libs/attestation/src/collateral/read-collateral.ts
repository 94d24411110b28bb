import { toHex } from '../bytes.js';
import type { JsonReader } from '../json-reader.js';
import type { QuoteCollateralV3 } from './quote-collateral.js';

const FIELDS = [
  'pck_crl_issuer_chain',
  'root_ca_crl',
  'pck_crl',
  'tcb_info_issuer_chain',
  'tcb_info',
  'tcb_info_signature',
  'qe_identity_issuer_chain',
  'qe_identity',
  'qe_identity_signature',
] as const satisfies readonly (keyof QuoteCollateralV3)[];
const CRL_MAX_BYTES = 1024 * 1024;

/** Reads a QuoteCollateralV3 out of JSON; CRLs may also be arrays of byte values. @throws Refusal naming the field */
export function readCollateral(entry: JsonReader): QuoteCollateralV3 {
  const fields = FIELDS.map((name) => [name, textOf(entry.member(name))] as const);
  const chain = entry.optional('pck_certificate_chain')?.string();
  const collateral = Object.fromEntries(fields) as Record<(typeof FIELDS)[number], string>;
  return chain === undefined ? collateral : { ...collateral, pck_certificate_chain: chain };
}

function textOf(field: JsonReader): string {
  if (!field.isArray) return field.string();
  return toHex(Uint8Array.from(field.array(CRL_MAX_BYTES), (byte) => byte.integer(0, 255)));
}
