import type { QuoteCollateralV3 } from '../collateral/quote-collateral.js';
import type { VerifiedVerdict } from './quote-verdict.js';
import { QuoteVerifier } from './quote-verifier.js';
import { INTEL_SGX_ROOT, type TrustAnchor, trustAnchorFromDer, trustAnchorFromPem } from './trust-anchor.js';

export interface VerifyQuoteInput {
  /** The quote's bytes; what stands behind its declared end is padding and is ignored. */
  readonly quote: Uint8Array;
  readonly collateral: QuoteCollateralV3;
  /** Evaluation time: a Date, or Unix seconds. */
  readonly now: Date | number;
  /** Roots to trust: anchors, PEM texts or DER bytes, one certificate each. Default: the pinned Intel SGX Root CA only. */
  readonly roots?: readonly (TrustAnchor | string | Uint8Array)[];
}

/**
 * Verifies a quote in one call: bytes and collateral to status, advisories and the list of every check. Signatures,
 * chains, revocation, times and TCB level are judged here; whether the facts are good enough (status, debug, measurements)
 * is the caller's question, answered by `appraise`.
 * @throws QuoteVerificationError with a stable `code` for every refusal, a revoked TCB level included
 * @throws InvalidTrustAnchorError when a root is not a self-signed P-256 CA certificate
 * @throws RangeError when `now` is not a time
 */
export function verifyQuote({ quote, collateral, now, roots }: VerifyQuoteInput): VerifiedVerdict {
  const trustAnchors = roots?.map(readRoot) ?? [INTEL_SGX_ROOT];
  return new QuoteVerifier({ trustAnchors, collateralMax: 0 }).verify({ quote, collateral, now: readTime(now) });
}

function readTime(now: Date | number): Date {
  const time = typeof now === 'number' ? new Date(now * 1000) : new Date(now);
  if (Number.isNaN(time.getTime())) throw new RangeError('the evaluation time is not a valid date or Unix time');
  return time;
}

function readRoot(root: TrustAnchor | string | Uint8Array): TrustAnchor {
  if (typeof root === 'string') return trustAnchorFromPem(root);
  return root instanceof Uint8Array ? trustAnchorFromDer(root) : root;
}
