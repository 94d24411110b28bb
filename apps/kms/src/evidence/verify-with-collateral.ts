import { createHash } from 'node:crypto';
import {
  CollateralUnavailableError,
  type ParsedQuote,
  type QuoteCollateralV3,
  type TrustAnchor,
  type VerifiedQuote,
  type VerifyResult,
  verifyParsedQuote,
} from '@vouch/attestation';
import { type Check, canonicalBytes } from '@vouch/domain';
import type { UsedCollateral } from './appraised-facts.js';

/** Where collateral comes from; CollateralClient is one. Throws CollateralUnavailableError. */
interface CollateralSource {
  collateralFor(quote: ParsedQuote): Promise<QuoteCollateralV3>;
  forget(quote: ParsedQuote): void;
}

export interface VerificationOptions {
  readonly collateral: CollateralSource;
  readonly trustAnchors: readonly TrustAnchor[];
  readonly now: () => Date;
}

type Verification =
  | { readonly ok: true; readonly verified: VerifyResult; readonly collateral: QuoteCollateralV3 }
  | { readonly ok: false; readonly failed: Check };

/**
 * Verifies, and once more with fresh collateral when the cached one was what failed. Throws CollateralUnavailableError when
 * there may be collateral later: then there is no verdict.
 */
export async function verifyWithCollateral(quote: ParsedQuote, options: VerificationOptions): Promise<Verification> {
  const { collateral: source, trustAnchors, now } = options;
  try {
    let collateral = await source.collateralFor(quote);
    let verified = verifyParsedQuote(quote, collateral, { now: now(), trustAnchors });
    if (!verified.ok && verified.failed.name.startsWith('collateral.')) {
      source.forget(quote);
      collateral = await source.collateralFor(quote);
      verified = verifyParsedQuote(quote, collateral, { now: now(), trustAnchors });
    }
    return { ok: true, verified, collateral };
  } catch (error) {
    if (!(error instanceof CollateralUnavailableError) || error.retryable) throw error;
    return { ok: false, failed: { name: 'collateral.available', outcome: 'fail', detail: error.message } };
  }
}

/** SHA-256 of the canonical JSON, hex. */
export function collateralDigest(collateral: QuoteCollateralV3): string {
  return createHash('sha256').update(canonicalBytes(collateral)).digest('hex');
}

export function usedCollateral(collateral: QuoteCollateralV3, quote: VerifiedQuote): UsedCollateral {
  return { digest: collateralDigest(collateral), fmspc: quote.pck.fmspc, collateral };
}
