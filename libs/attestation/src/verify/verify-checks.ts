import type { CheckSheet } from '../check-sheet.js';

/** Names of the checks of verification, in the order they run. Every one is listed in every result. */
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

export type VerifySheet = CheckSheet<(typeof VERIFY_CHECKS)[number]>;
