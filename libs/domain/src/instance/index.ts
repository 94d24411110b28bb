export * from './guest-address.js';
export * from './instance-decider.js';
