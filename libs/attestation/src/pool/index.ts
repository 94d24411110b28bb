export { type PoolOutcome, QuoteVerifierPool, type QuoteVerifierPoolOptions } from './quote-verifier-pool.js';
export { type PoolFailure, QuoteVerifierPoolError } from './quote-verifier-pool-error.js';
