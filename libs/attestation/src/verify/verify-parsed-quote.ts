import type { ParsedQuote } from '../abi/parsed-quote.js';
import type { QuoteCollateralV3 } from '../collateral/quote-collateral.js';
import { QuoteVerifier } from './quote-verifier.js';
import { INTEL_SGX_ROOT } from './trust-anchor.js';
import type { VerifyOptions, VerifyResult } from './verified-quote.js';

/**
 * Verifies a parsed quote against its collateral at a given time: signatures, chains, revocation, dates, identity of the
 * quoting enclave, TCB level. Facts only (debug and an OutOfDate status do not refuse here, `appraise` decides about
 * them), except that a revoked TCB does refuse. Bad input of any kind is a refusal, never an exception. Stateless: a
 * service that verifies more than one quote wants one `QuoteVerifier`.
 */
export function verifyParsedQuote(
  quote: ParsedQuote,
  collateral: QuoteCollateralV3,
  { now, trustAnchors = [INTEL_SGX_ROOT] }: VerifyOptions,
): VerifyResult {
  return new QuoteVerifier({ trustAnchors, collateralMax: 0 }).verifyParsed(quote, collateral, now);
}
