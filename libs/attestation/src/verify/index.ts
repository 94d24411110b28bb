export * from './tcb-status.js';
export * from './trust-anchor.js';
export * from './verified-quote.js';
export * from './verify-quote.js';
