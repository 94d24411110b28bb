export * from './appraise.js';
export * from './appraised-evidence.js';
export * from './policy.js';
