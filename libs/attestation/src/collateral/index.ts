export { CollateralClient, type CollateralClientOptions } from './collateral-client.js';
export { CollateralUnavailableError } from './collateral-unavailable-error.js';
export type { QuoteCollateralV3 } from './quote-collateral.js';
