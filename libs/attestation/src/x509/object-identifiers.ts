/** Contents of the object identifiers used here, as hex. */
export const OID = {
  /** 1.2.840.10045.2.1 */
  ecPublicKey: '2a8648ce3d0201',
  /** 1.2.840.10045.3.1.7 */
  prime256v1: '2a8648ce3d030107',
  /** 1.2.840.10045.4.3.2 */
  ecdsaWithSha256: '2a8648ce3d040302',
  /** 2.5.4.3 */
  commonName: '550403',
  /** 2.5.29.14 */
  subjectKeyId: '551d0e',
  /** 2.5.29.15 */
  keyUsage: '551d0f',
  /** 2.5.29.19 */
  basicConstraints: '551d13',
  /** 2.5.29.20 */
  crlNumber: '551d14',
  /** 2.5.29.31 */
  crlDistributionPoints: '551d1f',
  /** 2.5.29.35 */
  authorityKeyId: '551d23',
  /** 1.2.840.113741.1.13.1, root of Intel's PCK certificate extension */
  sgxExtension: '2a864886f84d010d01',
} as const;
