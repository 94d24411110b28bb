export * from './collateral-client.js';
export * from './quote-collateral.js';
