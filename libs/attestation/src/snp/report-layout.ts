/** Size of an attestation report, in bytes (SEV-SNP firmware ABI 56860, ATTESTATION_REPORT). */
export const SNP_REPORT_BYTES = 0x4a0;

/** Offset and size of every field, in bytes. Integers are little-endian. */
export const REPORT_FIELD = {
  version: { offset: 0x000, sizeBytes: 4 },
  guestSvn: { offset: 0x004, sizeBytes: 4 },
  policy: { offset: 0x008, sizeBytes: 8 },
  familyId: { offset: 0x010, sizeBytes: 16 },
  imageId: { offset: 0x020, sizeBytes: 16 },
  vmpl: { offset: 0x030, sizeBytes: 4 },
  signatureAlgorithm: { offset: 0x034, sizeBytes: 4 },
  currentTcb: { offset: 0x038, sizeBytes: 8 },
  platformInfo: { offset: 0x040, sizeBytes: 8 },
  keyInfo: { offset: 0x048, sizeBytes: 4 },
  reportData: { offset: 0x050, sizeBytes: 64 },
  measurement: { offset: 0x090, sizeBytes: 48 },
  hostData: { offset: 0x0c0, sizeBytes: 32 },
  idKeyDigest: { offset: 0x0e0, sizeBytes: 48 },
  authorKeyDigest: { offset: 0x110, sizeBytes: 48 },
  reportId: { offset: 0x140, sizeBytes: 32 },
  reportIdMa: { offset: 0x160, sizeBytes: 32 },
  reportedTcb: { offset: 0x180, sizeBytes: 8 },
  /** Versions 3 and later. */
  cpuFamily: { offset: 0x188, sizeBytes: 1 },
  cpuModel: { offset: 0x189, sizeBytes: 1 },
  cpuStepping: { offset: 0x18a, sizeBytes: 1 },
  chipId: { offset: 0x1a0, sizeBytes: 64 },
  committedTcb: { offset: 0x1e0, sizeBytes: 8 },
  /** build, minor, major */
  currentVersion: { offset: 0x1e8, sizeBytes: 3 },
  committedVersion: { offset: 0x1ec, sizeBytes: 3 },
  launchTcb: { offset: 0x1f0, sizeBytes: 8 },
  /** Version 5. */
  launchMitigations: { offset: 0x1f8, sizeBytes: 8 },
  currentMitigations: { offset: 0x200, sizeBytes: 8 },
  /** r and s, each little-endian in 72 bytes, of which a P-384 number uses 48. */
  signatureR: { offset: 0x2a0, sizeBytes: 72 },
  signatureS: { offset: 0x2e8, sizeBytes: 72 },
} as const;

export type ReportField = keyof typeof REPORT_FIELD;

/** The signature covers every byte before itself. */
export const SIGNED_BYTES = REPORT_FIELD.signatureR.offset;

/** Size of r or s of P-384, in bytes. */
export const P384_NUMBER_BYTES = 48;

/** The only signature algorithm defined: ECDSA P-384 with SHA-384. */
export const ECDSA_P384_SHA384 = 1;

export const REPORT_VERSIONS = { min: 2, cpuid: 3, mitigations: 5, max: 5 } as const;

interface Range {
  readonly from: number;
  /** Exclusive. */
  readonly to: number;
}

/** Ranges that must be zero in a report of this version. */
export function reservedRanges(version: number): readonly Range[] {
  const afterTcb = version >= REPORT_VERSIONS.cpuid ? 0x18b : 0x188;
  const afterLaunch = version >= REPORT_VERSIONS.mitigations ? 0x208 : 0x1f8;
  return [
    { from: 0x04c, to: 0x050 },
    { from: afterTcb, to: 0x1a0 },
    { from: 0x1eb, to: 0x1ec },
    { from: 0x1ef, to: 0x1f0 },
    { from: afterLaunch, to: SIGNED_BYTES },
    { from: REPORT_FIELD.signatureR.offset + P384_NUMBER_BYTES, to: REPORT_FIELD.signatureS.offset },
    { from: REPORT_FIELD.signatureS.offset + P384_NUMBER_BYTES, to: SNP_REPORT_BYTES },
  ];
}
