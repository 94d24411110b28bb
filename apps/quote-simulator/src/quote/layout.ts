/** Byte layout of quotes of versions 3 to 5, offsets and sizes in bytes, integers little-endian (attestation §1). */
export const HEADER = {
  size: 48,
  version: 0,
  attestationKeyType: 2,
  teeType: 4,
  qeVendorId: 12,
  userData: 28,
} as const;

/** SGX enclave report, as the quoting enclave's own report. */
export const SGX_REPORT = {
  size: 384,
  cpuSvn: 0,
  miscSelect: 16,
  attributes: 48,
  mrEnclave: 64,
  mrSigner: 128,
  isvProdId: 256,
  isvSvn: 258,
  reportData: 320,
} as const;

/** TD report 1.0. */
export const TD_REPORT = {
  size: 584,
  teeTcbSvn: 0,
  mrSeam: 16,
  mrSignerSeam: 64,
  seamAttributes: 112,
  tdAttributes: 120,
  xfam: 128,
  mrTd: 136,
  mrConfigId: 184,
  mrOwner: 232,
  mrOwnerConfig: 280,
  rtMr0: 328,
  rtMr1: 376,
  rtMr2: 424,
  rtMr3: 472,
  reportData: 520,
} as const;

/** What a TD report 1.5 has behind a TD report 1.0. */
export const TD_REPORT_15 = { size: 648, teeTcbSvn2: 584, mrServiceTd: 600 } as const;

/** Body types of a version 5 quote. */
export const BODY_TYPE = { sgx: 1, td10: 2, td15: 3 } as const;

export const ECDSA_P256_KEY_TYPE = 2;
export const TEE_TYPE = { sgx: 0x00, tdx: 0x81 } as const;
export const INTEL_QE_VENDOR_ID = '939a7233f79c4ca9940a0db3957f0607';
/** Certification data types (attestation §1.3). */
export const CERTIFICATION = { pckChain: 5, qeReport: 6 } as const;
