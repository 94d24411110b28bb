import type { Check } from '../check.js';
import { type ParsedCollateral, parseCollateral } from '../collateral/parse-collateral.js';
import type { QuoteCollateralV3 } from '../collateral/quote-collateral.js';
import { Refusal } from '../refusal.js';
import { CertificateStore } from '../x509/certificate-store.js';
import {
  ends,
  requireNotRevoked,
  verifyDocument,
  verifyRevocationList,
  verifySigningChain,
} from './collateral-signatures.js';
import type { TrustAnchor } from './trust-anchor.js';
import type { VerifySheet } from './verify-checks.js';

/**
 * One exact set of collateral, verified under one set of anchors as far as that goes without a quote and without a time:
 * what is cached of platforms and enclaves belongs to one generation and is never used with another.
 */
export interface CollateralGeneration {
  /** Number of this generation within its verifier. */
  readonly id: number;
  /** The fields it was made from; strings do not change. */
  readonly pieces: QuoteCollateralV3;
  readonly parsed: ParsedCollateral;
  readonly trustAnchor: TrustAnchor;
  /** Its certificates, for reading PCK chains that share them. */
  readonly store: CertificateStore;
  readonly checks: readonly Check[];
}

const FIELDS = [
  // The signatures first: two different generations differ there, and comparing them is cheap.
  'tcb_info_signature',
  'qe_identity_signature',
  'pck_crl',
  'root_ca_crl',
  'tcb_info',
  'qe_identity',
  'tcb_info_issuer_chain',
  'qe_identity_issuer_chain',
  'pck_crl_issuer_chain',
  'pck_certificate_chain',
] as const satisfies readonly (keyof QuoteCollateralV3)[];

/** Every field, read once: what is compared with the cache is what is verified, whatever kind of object it came from. */
export function takePieces(collateral: QuoteCollateralV3): QuoteCollateralV3 {
  const value: unknown = collateral;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Refusal('COLLATERAL_FORMAT', 'the collateral is not an object');
  }
  const chain = collateral.pck_certificate_chain;
  return {
    tcb_info_signature: collateral.tcb_info_signature,
    qe_identity_signature: collateral.qe_identity_signature,
    pck_crl: collateral.pck_crl,
    root_ca_crl: collateral.root_ca_crl,
    tcb_info: collateral.tcb_info,
    qe_identity: collateral.qe_identity,
    tcb_info_issuer_chain: collateral.tcb_info_issuer_chain,
    qe_identity_issuer_chain: collateral.qe_identity_issuer_chain,
    pck_crl_issuer_chain: collateral.pck_crl_issuer_chain,
    ...(chain === undefined ? {} : { pck_certificate_chain: chain }),
  };
}

/** True when every character of every field is equal. */
export function equalPieces(a: QuoteCollateralV3, b: QuoteCollateralV3): boolean {
  for (const field of FIELDS) if (a[field] !== b[field]) return false;
  return true;
}

/** Steps 2 and 3 of the order, without the quote: trust anchor, TCB signing chains, root CRL, document signatures. */
export function validateCollateral(
  sheet: VerifySheet,
  id: number,
  pieces: QuoteCollateralV3,
  anchors: readonly TrustAnchor[],
): CollateralGeneration {
  const store = new CertificateStore();
  const parsed = sheet.step(
    'collateral.format',
    () => parseCollateral(pieces, store),
    ({ tcbInfo, qeIdentity }) =>
      `TCB info ${tcbInfo.id} v${tcbInfo.version} number ${tcbInfo.evaluationDataNumber}, identity ${qeIdentity.id}`,
  );
  const { tcbInfoChain, qeIdentityChain, rootCrl } = parsed;
  const trustAnchor = sheet.step(
    'collateral.tcb-signing-chain',
    () => {
      const anchor = verifySigningChain(tcbInfoChain, anchors, 'tcb_info_issuer_chain');
      verifySigningChain(qeIdentityChain, [anchor], 'qe_identity_issuer_chain');
      return anchor;
    },
    (anchor) => `both signing chains end in "${anchor.name}" ${anchor.fingerprint}`,
  );
  sheet.step(
    'collateral.root-crl',
    () => verifyRevocationList(rootCrl, ends(tcbInfoChain).root, 'root CRL'),
    () => `${rootCrl.revoked.size} revoked, updated ${rootCrl.thisUpdate.toISOString()}`,
  );
  sheet.step(
    'collateral.tcb-signer-revocation',
    () => [tcbInfoChain, qeIdentityChain].map((chain) => requireNotRevoked(ends(chain).leaf, rootCrl)),
    () => 'the signing certificates are not revoked',
  );
  sheet.step(
    'collateral.tcb-info-signature',
    () => verifyDocument(parsed.tcbInfoBytes, parsed.tcbInfoSignature, tcbInfoChain, 'TCB info'),
    () => 'signed by the TCB signing key',
  );
  sheet.step(
    'collateral.qe-identity-signature',
    () => verifyDocument(parsed.qeIdentityBytes, parsed.qeIdentitySignature, qeIdentityChain, 'QE identity'),
    () => 'signed by the TCB signing key',
  );
  const checks = sheet.recorded(
    'collateral.format',
    'collateral.tcb-signing-chain',
    'collateral.root-crl',
    'collateral.tcb-signer-revocation',
    'collateral.tcb-info-signature',
    'collateral.qe-identity-signature',
  );
  return { id, pieces, parsed, trustAnchor, store, checks };
}
