export { isAlive, type ProcessIdentity, processIdentity } from './process-identity.js';
