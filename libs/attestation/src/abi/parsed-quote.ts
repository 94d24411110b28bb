/** Header of every quote version, 48 bytes, inside the signed area (attestation ABI: Intel DCAP quote layout §1.1). */
export interface QuoteHeader {
  readonly version: 3 | 4 | 5;
  readonly attestationKeyType: number;
  readonly tee: 'SGX' | 'TDX';
  /** Version 3: QE SVN; versions 4 and 5: reserved. */
  readonly qeSvnField: number;
  /** Version 3: PCE SVN; versions 4 and 5: reserved. */
  readonly pceSvnField: number;
  /** 16 bytes. */
  readonly qeVendorId: Uint8Array;
  /** 20 bytes; the first 16 are the QE id. */
  readonly userData: Uint8Array;
}

/** SGX enclave report, 384 bytes. All byte fields are views of the parsed copy, in file order. */
export interface SgxReport {
  readonly kind: 'sgx';
  readonly cpuSvn: Uint8Array;
  readonly miscSelect: Uint8Array;
  readonly isvExtProdId: Uint8Array;
  /** 8 bytes flags, 8 bytes XFRM, little-endian. */
  readonly attributes: Uint8Array;
  readonly mrEnclave: Uint8Array;
  readonly mrSigner: Uint8Array;
  readonly configId: Uint8Array;
  readonly isvProdId: number;
  readonly isvSvn: number;
  readonly configSvn: number;
  readonly isvFamilyId: Uint8Array;
  readonly reportData: Uint8Array;
}

/** TD report, 584 bytes (1.0) or 648 bytes (1.5). Measurements are 48 bytes, attributes 8, report data 64. */
export interface TdReport {
  readonly kind: 'td10' | 'td15';
  readonly teeTcbSvn: Uint8Array;
  readonly mrSeam: Uint8Array;
  readonly mrSignerSeam: Uint8Array;
  readonly seamAttributes: Uint8Array;
  readonly tdAttributes: Uint8Array;
  readonly xfam: Uint8Array;
  readonly mrTd: Uint8Array;
  readonly mrConfigId: Uint8Array;
  readonly mrOwner: Uint8Array;
  readonly mrOwnerConfig: Uint8Array;
  readonly rtMr0: Uint8Array;
  readonly rtMr1: Uint8Array;
  readonly rtMr2: Uint8Array;
  readonly rtMr3: Uint8Array;
  readonly reportData: Uint8Array;
  /** TD 1.5 only: SVN of the module loaded now (16 bytes), else null. */
  readonly teeTcbSvn2: Uint8Array | null;
  /** TD 1.5 only: measurement of bound service TDs (48 bytes), else null. */
  readonly mrServiceTd: Uint8Array | null;
}

export interface CertificationData {
  /** 1-5, see {@link CERTIFICATION_TYPES}. */
  readonly type: number;
  readonly data: Uint8Array;
}

declare const parsed: unique symbol;

/** A quote whose format is valid. Nothing in it is authenticated yet: only `verifyParsedQuote` makes facts of it. */
export interface ParsedQuote {
  readonly [parsed]: true;
  readonly header: QuoteHeader;
  readonly report: TdReport | SgxReport;
  /** Bytes the attestation key signs: from 0 to the end of the body. */
  readonly signedBytes: Uint8Array;
  /** r ‖ s, 64 bytes, big-endian. */
  readonly quoteSignature: Uint8Array;
  /** x ‖ y of the P-256 attestation key, 64 bytes. */
  readonly attestationKey: Uint8Array;
  readonly qeReport: SgxReport;
  readonly qeReportBytes: Uint8Array;
  readonly qeReportSignature: Uint8Array;
  readonly qeAuthData: Uint8Array;
  readonly certification: CertificationData;
  /** From the attestation key to the end: all quotes under one attestation key of one platform share these bytes. */
  readonly qeBlock: Uint8Array;
  /** The quote without trailing padding: a private copy of the declared bytes. */
  readonly bytes: Uint8Array;
}
