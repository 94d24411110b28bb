export * from './parse-quote.js';
export * from './parsed-quote.js';
