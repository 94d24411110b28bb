export * from './event-log.js';
export * from './tdx-event.js';
