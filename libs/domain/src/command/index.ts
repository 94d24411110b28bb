export * from './command.js';
export * from './decide-command.js';
export * from './derived-ids.js';
