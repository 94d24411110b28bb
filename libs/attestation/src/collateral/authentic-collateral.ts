import { Refusal } from '../refusal.js';
import {
  ends,
  NAME_PHRASES,
  requireNotRevoked,
  verifyDocument,
  verifyRevocationList,
  verifySigningChain,
} from '../verify/collateral-signatures.js';
import { requireAnchor, type TrustAnchor } from '../verify/trust-anchor.js';
import { ValidityWindow } from '../verify/window.js';
import { type Chain, verifyChain } from '../x509/chain.js';
import { type ParsedCollateral, parseCollateral } from './parse-collateral.js';
import { caKindOf, type Platform, platformName } from './platform.js';
import type { QuoteCollateralV3 } from './quote-collateral.js';

/** Collateral whose every signature leads to a trust anchor. Whether its time is now is a question of its own. */
export interface AuthenticCollateral {
  readonly collateral: QuoteCollateralV3;
  readonly platform: Platform;
  /** `tcbEvaluationDataNumber` of the two documents; they may differ. */
  readonly tcbInfoNumber: number;
  readonly qeIdentityNumber: number;
  /** Every piece is valid from `notBefore` to `notAfter`, both included. */
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** @throws Refusal `COLLATERAL_EXPIRED` or `COLLATERAL_NOT_YET_VALID`, naming the piece */
  readonly requireValidAt: (now: Date) => void;
}

/** No piece of collateral is checked against the PCK chain of a quote here: `verifyQuote` does that, and all of this again. */
const NO_PCK_CHAIN: Chain = [];

/**
 * Checks that collateral is genuine and about this platform: both signing chains, both document signatures, both CRLs with
 * their issuers, revocation of the signers. It decides which of several servers to believe and what may be kept, so that
 * one that lies is passed over; verdicts about quotes rest on `verifyQuote` alone.
 * @throws Refusal of the piece that is wrong
 */
export function authenticateCollateral(
  collateral: QuoteCollateralV3,
  anchors: readonly TrustAnchor[],
  wanted?: Platform,
): AuthenticCollateral {
  const parsed = parseCollateral(collateral);
  const { tcbInfo, qeIdentity, tcbInfoChain, qeIdentityChain, rootCrl, pckCrl, pckCrlChain } = parsed;
  const anchor = verifySigningChain(tcbInfoChain, anchors, 'tcb_info_issuer_chain');
  verifySigningChain(qeIdentityChain, [anchor], 'qe_identity_issuer_chain');
  verifyRevocationList(rootCrl, ends(tcbInfoChain).root, 'root CRL');
  requireNotRevoked(ends(tcbInfoChain).leaf, rootCrl);
  requireNotRevoked(ends(qeIdentityChain).leaf, rootCrl);
  verifyDocument(parsed.tcbInfoBytes, parsed.tcbInfoSignature, tcbInfoChain, 'TCB info');
  verifyDocument(parsed.qeIdentityBytes, parsed.qeIdentitySignature, qeIdentityChain, 'QE identity');
  const { leaf: ca, root } = ends(pckCrlChain);
  requireAnchor(root, [anchor], 'pck_crl_issuer_chain');
  verifyChain(pckCrlChain, 'pck_crl_issuer_chain');
  verifyRevocationList(pckCrl, ca, 'PCK CRL');
  requireNotRevoked(ca, rootCrl);
  const platform = describePlatform(parsed);
  if (wanted !== undefined && platformName(platform) !== platformName(wanted)) {
    throw new Refusal('COLLATERAL_MISMATCH', `it is for ${platformName(platform)}, not ${platformName(wanted)}`);
  }
  const window = new ValidityWindow(parsed, NO_PCK_CHAIN);
  return {
    collateral,
    platform,
    tcbInfoNumber: tcbInfo.evaluationDataNumber,
    qeIdentityNumber: qeIdentity.evaluationDataNumber,
    notBefore: window.notBefore,
    notAfter: window.notAfter,
    requireValidAt: (now) => window.require(now),
  };
}

/** The platform that parsed collateral is about, by its own words. @throws Refusal `COLLATERAL_MISMATCH` */
export function describePlatform({ tcbInfo, qeIdentity, pckCrlChain }: ParsedCollateral): Platform {
  const tee = tcbInfo.id === 'TDX' ? 'tdx' : 'sgx';
  const identity = tee === 'tdx' ? 'TD_QE' : 'QE';
  if (qeIdentity.id !== identity) {
    throw new Refusal('COLLATERAL_MISMATCH', `the identity is of ${qeIdentity.id}, ${tcbInfo.id} needs ${identity}`);
  }
  const ca = caKindOf(ends(pckCrlChain).leaf);
  if (ca === null) {
    const { platformCa, processorCa } = NAME_PHRASES;
    throw new Refusal('COLLATERAL_MISMATCH', `the PCK CRL is neither of the ${platformCa} nor the ${processorCa}`);
  }
  return { tee, fmspc: tcbInfo.fmspc, ca };
}
