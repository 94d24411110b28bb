export * from './grant-decider.js';
