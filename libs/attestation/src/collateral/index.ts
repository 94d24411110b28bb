export * from './collateral-client.js';
export type { QuoteCollateralV3 } from './quote-collateral.js';
