/**
 * Keys of Vouch, byte for byte those of dstack: the KDF and everything derived with it, the secp256k1 signature chains a
 * client verifies, HPKE sealing of granted keys, encrypted environments, and the X.509 profiles. Pure: no network, no
 * disk, no Nest. The invariant it keeps: a root secret enters {@link RootKeys} and leaves it only as a derived key or a
 * signature; nothing here prints, serialises or logs one.
 */
export * from './app-keys.js';
export * from './certificate-request.js';
export * from './derive.js';
export * from './encrypted-env.js';
export * from './env-key.js';
export * from './epoch-derive.js';
export * from './errors.js';
export * from './event-key.js';
export * from './grant-payload.js';
export * from './guest-key.js';
export * from './hpke.js';
export * from './k256.js';
export * from './key-provider.js';
export * from './p256.js';
export * from './root-keys.js';
export * from './root-shares.js';
export * from './x509/app-certificates.js';
export * from './x509/certificate.js';
export * from './x509/development-ca.js';
