export * from './app-compose.js';
export * from './app-decider.js';
