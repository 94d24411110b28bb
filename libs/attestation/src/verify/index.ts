export { NAME_PHRASES } from './collateral-signatures.js';
export type { QuoteVerdict, VerifiedVerdict } from './quote-verdict.js';
export { QuoteVerificationError } from './quote-verification-error.js';
export { QuoteVerifier, type QuoteVerifierOptions, type VerifierInput } from './quote-verifier.js';
export { TCB_STATUSES, type TcbStatus } from './tcb-status.js';
export {
  INTEL_SGX_ROOT,
  InvalidTrustAnchorError,
  type TrustAnchor,
  trustAnchorFromDer,
  trustAnchorFromPem,
} from './trust-anchor.js';
export type { TcbFacts, VerifiedQuote, VerifyOptions, VerifyResult } from './verified-quote.js';
export { VERIFY_CHECKS } from './verify-checks.js';
export { verifyParsedQuote } from './verify-parsed-quote.js';
export { type VerifyQuoteInput, verifyQuote } from './verify-quote.js';
