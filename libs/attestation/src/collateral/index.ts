export { CollateralBundle, InvalidBundleError } from './collateral-bundle.js';
export { CollateralClient } from './collateral-client.js';
export type { CollateralClientOptions, CollateralClientStatus } from './collateral-client-options.js';
export { type CollateralEndpoint, INTEL_PCS, InvalidEndpointError, type TcbUpdate } from './collateral-endpoint.js';
export type { CollateralSource } from './collateral-source.js';
export {
  CollateralUnavailableError,
  type EndpointFailure,
  type EndpointFailureCode,
} from './collateral-unavailable-error.js';
export type { QuoteCollateralV3 } from './quote-collateral.js';
