export type { PckExtension } from './pck-extension.js';
