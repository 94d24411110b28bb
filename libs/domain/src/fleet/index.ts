export * from './advance.js';
export * from './desired-guest.js';
export * from './fleet-view.js';
export * from './guest-facts.js';
export * from './host-room.js';
