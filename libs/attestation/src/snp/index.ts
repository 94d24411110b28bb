/**
 * AMD SEV-SNP: bytes -> ParsedSnpReport -> VerifiedSnpReport -> AppraisedSnpEvidence -> identity and launch, by the same
 * rules as the TDX stages: facts and policy apart, every check listed, time and roots given by the caller.
 */
export {
  type AppraisedSnpEvidence,
  type AppraiseSnpResult,
  appraiseSnp,
  SNP_APPRAISE_CHECKS,
} from './appraise-report.js';
export type { EndorsementKey } from './endorsement-key.js';
export type { GuestPolicy } from './guest-policy.js';
export { KdsClient, type KdsClientOptions, type KdsEndpoint } from './kds/kds-client.js';
export {
  AMD_KDS_URL,
  type KdsKeyKind,
  kdsChainUrl,
  kdsRevocationListUrl,
  kdsVcekUrl,
  type VcekAddress,
} from './kds/urls.js';
export { type SnpVmShape, snpLaunchDigest } from './launch/launch-digest.js';
export {
  readSnpMeasurement,
  type SnpFirmwareSection,
  type SnpMeasurement,
  writeSnpMeasurement,
} from './launch/measurement.js';
export {
  SNP_LAUNCH_CHECKS,
  type SnpLaunch,
  type SnpLaunchInput,
  type VerifySnpLaunchResult,
  verifySnpLaunch,
} from './launch/verify-launch.js';
export { type BindSnpMrConfigResult, bindSnpMrConfig, SNP_MR_CONFIG_CHECKS } from './mr-config.js';
export { type ParseSnpReportResult, parseSnpReport } from './parse-report.js';
export type { ParsedSnpReport, SnpFirmwareVersion, SnpSigningKey } from './parsed-report.js';
export type { PlatformInfo } from './platform-info.js';
export type { SnpAppraisalPolicy, SnpPlatformState, SnpReferenceValues } from './policy.js';
export { productOfCpuid, SNP_PRODUCTS, type SnpProduct } from './product.js';
export { SNP_REPORT_BYTES } from './report-layout.js';
export type { SnpTcbVersion } from './tcb-version.js';
export {
  AMD_ARK_FINGERPRINTS,
  amdTrustAnchors,
  InvalidSnpTrustAnchorError,
  type SnpTrustAnchor,
  snpTrustAnchorFromDer,
  snpTrustAnchorFromPem,
} from './trust-anchor.js';
export type {
  SnpCollateral,
  SnpTcbFacts,
  SnpTcbStatus,
  SnpVerifyOptions,
  VerifiedSnpReport,
  VerifySnpResult,
} from './verified-report.js';
export { SNP_VERIFY_CHECKS, verifySnpReport } from './verify-report.js';
