export * from './pck-extension.js';
