export * from './host-decider.js';
