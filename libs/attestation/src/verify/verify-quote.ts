import type { ParsedQuote } from '../abi/parsed-quote.js';
import type { QuoteCollateralV3 } from '../collateral/quote-collateral.js';
import type { VerifyOptions, VerifyResult } from './verified-quote.js';

/** Names of the checks `verifyQuote` reports, in the order they run. Every one is listed in every result. */
export const VERIFY_CHECKS = [
  'collateral.format',
  'collateral.tcb-signing-chain',
  'collateral.root-crl',
  'collateral.tcb-signer-revocation',
  'collateral.tcb-info-signature',
  'collateral.qe-identity-signature',
  'collateral.kind',
  'pck.chain',
  'collateral.pck-crl',
  'pck.revocation',
  'collateral.window',
  'pck.platform',
  'tdx.module',
  'qe-report.signature',
  'qe-report.binding',
  'qe.identity',
  'quote.signature',
  'tcb.status',
] as const;

export function verifyQuote(
  _quote: ParsedQuote,
  _collateral: QuoteCollateralV3,
  _options: VerifyOptions,
): VerifyResult {
  throw new Error('not implemented');
}
