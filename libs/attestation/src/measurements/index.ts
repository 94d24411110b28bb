export * from './derive-measurements.js';
export * from './mr-config-id.js';
