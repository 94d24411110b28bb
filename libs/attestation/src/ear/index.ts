export { EAR_PROFILE, type EarClaims, type EarOptions, earClaims } from './ear-claims.js';
export { earAlgorithm, signEar, UnsupportedSigningKeyError } from './sign-ear.js';
export { type TrustTier, type TrustVector, trustTier, trustVector } from './trust-vector.js';
