import type { ParsedQuote } from '../abi/parsed-quote.js';
import type { ParsedCollateral } from '../collateral/parse-collateral.js';
import { Refusal } from '../refusal.js';
import { type Certificate, describeCertificate } from '../x509/certificate.js';
import { type Chain, isSignedBy, verifyChain } from '../x509/chain.js';
import { importIssuerKey, verifyRaw } from '../x509/p256.js';
import type { RevocationList } from '../x509/revocation-list.js';
import { requireAnchor, type TrustAnchor } from './trust-anchor.js';

/** Part of the common name that says what Intel issued the certificate for. A simulator's names must contain it too. */
export const NAME_PHRASES = {
  tcbSigner: 'SGX TCB Signing',
  pckLeaf: 'SGX PCK Certificate',
  platformCa: 'SGX PCK Platform CA',
  processorCa: 'SGX PCK Processor CA',
} as const;

/** First and last certificate of a chain. */
export function ends(chain: Chain): { readonly leaf: Certificate; readonly root: Certificate } {
  const [leaf, root] = [chain[0], chain.at(-1)];
  if (leaf === undefined || root === undefined) throw new Error('a parsed chain is never empty');
  return { leaf, root };
}

/** Anchors and verifies a signing chain: signer directly under the root, not a CA, issued for signing TCB data. */
export function verifySigningChain(chain: Chain, anchors: readonly TrustAnchor[], source: string): TrustAnchor {
  const { leaf, root } = ends(chain);
  const anchor = requireAnchor(root, anchors, source);
  verifyChain(chain, source);
  if (leaf.isCa || !leaf.keyUsage.digitalSignature || !leaf.commonName.includes(NAME_PHRASES.tcbSigner)) {
    throw new Refusal('CHAIN_INVALID', `${source}: ${describeCertificate(leaf)} is not a TCB signing certificate`);
  }
  return anchor;
}

/** The CRL is issued and signed by this CA. @throws Refusal `CRL_INVALID` */
export function verifyRevocationList(crl: RevocationList, ca: Certificate, name: string): void {
  if (!ca.isCa || !ca.keyUsage.crlSign || !isSignedBy(crl, ca)) {
    throw new Refusal('CRL_INVALID', `the ${name} is not signed by ${describeCertificate(ca)}`);
  }
}

/** @throws Refusal `CERTIFICATE_REVOKED` */
export function requireNotRevoked(certificate: Certificate, crl: RevocationList): void {
  if (crl.revoked.has(certificate.serial)) {
    throw new Refusal('CERTIFICATE_REVOKED', `${describeCertificate(certificate)} is revoked`);
  }
}

/** Signature of a TCB info or identity by the signer at the head of its chain. @throws Refusal `COLLATERAL_SIGNATURE` */
export function verifyDocument(bytes: Uint8Array, signature: Uint8Array, chain: Chain, name: string): void {
  const { leaf } = ends(chain);
  if (!verifyRaw(importIssuerKey(leaf.publicPoint, leaf.commonName), bytes, signature)) {
    throw new Refusal('COLLATERAL_SIGNATURE', `the ${name} is not signed by ${describeCertificate(leaf)}`);
  }
}

/** TDX quotes go with TCB info "TDX" v3 and identity "TD_QE"; SGX quotes with "SGX" (v2 or v3) and "QE". */
export function requireKind(quote: ParsedQuote, collateral: ParsedCollateral): void {
  const { tee } = quote.header;
  const { tcbInfo, qeIdentity } = collateral;
  const identity = tee === 'TDX' ? 'TD_QE' : 'QE';
  if (tcbInfo.id !== tee)
    throw new Refusal('COLLATERAL_MISMATCH', `the TCB info is for ${tcbInfo.id}, the quote is ${tee}`);
  if (qeIdentity.id !== identity) {
    throw new Refusal('COLLATERAL_MISMATCH', `the identity is of ${qeIdentity.id}, a ${tee} quote needs ${identity}`);
  }
}
