import { toHex } from '../bytes.js';
import { Refusal } from '../refusal.js';
import { exactMember } from './exact-member.js';
import type { Document } from './fetch-document.js';
import type { QuoteCollateralV3 } from './quote-collateral.js';

/** The four answers that make up the collateral of a platform. */
export type Documents = Readonly<Record<'tcb' | 'identity' | 'pckCrl' | 'rootCrl', Document>>;

/** Cuts the exact signed bytes out of the answers. Nothing is verified. @throws Refusal `COLLATERAL_FORMAT` */
export function assembleCollateral({ tcb, identity, pckCrl, rootCrl }: Documents): QuoteCollateralV3 {
  const tcbText = utf8(tcb, 'the TCB info');
  const identityText = utf8(identity, 'the QE identity');
  return {
    tcb_info: exactMember(tcbText, 'tcbInfo'),
    tcb_info_signature: unquote(exactMember(tcbText, 'signature')),
    tcb_info_issuer_chain: issuerChain(tcb, 'TCB-Info-Issuer-Chain', 'SGX-TCB-Info-Issuer-Chain'),
    qe_identity: exactMember(identityText, 'enclaveIdentity'),
    qe_identity_signature: unquote(exactMember(identityText, 'signature')),
    qe_identity_issuer_chain: issuerChain(identity, 'SGX-Enclave-Identity-Issuer-Chain'),
    pck_crl: revocationListText(pckCrl),
    pck_crl_issuer_chain: issuerChain(pckCrl, 'SGX-PCK-CRL-Issuer-Chain'),
    root_ca_crl: revocationListText(rootCrl),
  };
}

/** Signatures are over bytes: what is not UTF-8 would change on its way through a string. */
function utf8({ body }: Document, what: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body);
  } catch {
    throw new Refusal('COLLATERAL_FORMAT', `${what} is not UTF-8`);
  }
}

/** Chains come URL-encoded in headers. */
function issuerChain({ headers }: Document, ...names: readonly string[]): string {
  const value = names.map((name) => headers[name.toLowerCase()]).find((header) => header !== undefined);
  if (value === undefined) throw new Refusal('COLLATERAL_FORMAT', `the response has no ${names[0]} header`);
  try {
    return decodeURIComponent(value);
  } catch {
    throw new Refusal('COLLATERAL_FORMAT', `the ${names[0]} header is not URL-encoded`);
  }
}

/** Intel's service answers DER, a PCCS often DER as hex text, some mirrors PEM. */
function revocationListText({ body }: Document): string {
  const text = Buffer.from(body).toString('latin1').trim();
  return /^[0-9a-fA-F]+$/.test(text) || text.startsWith('-----BEGIN X509 CRL-----') ? text : toHex(body);
}

function unquote(json: string): string {
  const value: unknown = JSON.parse(json);
  if (typeof value !== 'string') throw new Refusal('COLLATERAL_FORMAT', 'the signature is not a string');
  return value;
}
