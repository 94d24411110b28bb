export {
  ATTESTATION_CHECKS,
  type BindAttestationResult,
  type BoundAttestation,
  bindAttestation,
} from './bind-attestation.js';
export {
  type CertificateSigningRequest,
  CSR_CONFIRMATION,
  type CsrConfig,
  type CsrV1,
  type CsrV2,
  readCsr,
  signCsr,
  upgradeCsr,
  verifyCsr,
  writeCsr,
} from './certificate-signing-request.js';
export type { Decoded } from './decoded.js';
export { readAttestation } from './read-attestation.js';
export {
  MAX_ATTESTATION_BYTES,
  type PcrValue,
  type PlatformEvidence,
  type StackEvidence,
  TEE_VARIANTS,
  type TeeVariant,
  TPM_PLATFORMS,
  type TpmEvent,
  type TpmPlatform,
  type TpmQuote,
  type VersionedAttestation,
} from './versioned-attestation.js';
export { stripForCertificate, writeAttestation } from './write-attestation.js';
