/** Sizes and constants of the quote format (Intel DCAP ECDSA quote, versions 3 to 5). All integers are little-endian. */
export const QUOTE = {
  headerBytes: 48,
  /** Shortest quote any version allows; anything below is refused before a field is read. */
  minBytes: 1020,
  signatureBytes: 64,
  publicKeyBytes: 64,
  /** 2 = ECDSA over P-256 with SHA-256, the only key type accepted. */
  keyTypeP256: 2,
  teeSgx: 0x00000000,
  teeTdx: 0x00000081,
  vendorIdBytes: 16,
  userDataBytes: 20,
  intelVendorId: '939a7233f79c4ca9940a0db3957f0607',
} as const;

/** Certification data types. Only types 1-5 may stand inside; type 6 is the outer wrapping of versions 4 and 5. */
export const CERTIFICATION_TYPES = {
  plainPpid: 1,
  encryptedPpidRsa2048: 2,
  encryptedPpidRsa3072: 3,
  pckLeaf: 4,
  pckChain: 5,
  qeReport: 6,
} as const;

/** Body types of version 5. */
export const BODY_TYPES = { sgx: 1, td10: 2, td15: 3 } as const;
