export * from './derive-measurements.js';
export * from './instance-identity.js';
export * from './mr-config-id.js';
export * from './mr-config-v3.js';
export * from './platform-measurements.js';
