export * from './derive-measurements.js';
