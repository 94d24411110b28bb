export * from './operation-decider.js';
