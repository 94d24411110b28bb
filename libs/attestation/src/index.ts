/**
 * Verification of confidential-VM evidence: Intel TDX (v4, v5) and SGX (v3) DCAP quotes, AMD SEV-SNP reports, and the dstack
 * event log on top.
 * Evidence moves through types, bytes -> ParsedQuote -> VerifiedQuote -> AppraisedEvidence -> BoundEventLog -> identity, so
 * that a skipped step does not compile. The invariant: nothing here touches a clock, a file or a global setting; the
 * verdict is a function of the bytes, the time and the anchors given, and a check that did not run says `skipped`.
 * (Only `CollateralClient`, `KdsClient` and `OsImageDownloader` talk to a network and keep caches, and what they return is not
 * trusted; `readProcessImage` reads files.)
 */
export * from './abi/index.js';
export * from './appraise/index.js';
export * from './ccel/index.js';
export * from './check.js';
export * from './collateral/index.js';
export * from './ear/index.js';
export * from './encodings/index.js';
export * from './event-log/index.js';
export * from './evidence/index.js';
export * from './measurements/index.js';
export * from './os-image/index.js';
export * from './platforms/index.js';
export * from './pool/index.js';
export * from './process-image/index.js';
export * from './ratls/index.js';
export * from './report-data/index.js';
export * from './snp/index.js';
export * from './tdx-image/index.js';
export * from './verify/index.js';
export * from './x509/index.js';
