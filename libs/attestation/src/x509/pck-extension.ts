/** Values of the SGX extension (1.2.840.113741.1.13.1) of a PCK leaf certificate. */
export interface PckExtension {
  /** 16 bytes; dstack's device id is its SHA-256. */
  readonly ppid: Uint8Array;
  /** 16 component SVNs, each 0-255: the defined input of TCB matching. */
  readonly components: Uint8Array;
  readonly pceSvn: number;
  readonly cpuSvn: Uint8Array;
  /** 4 lower-case hex digits. */
  readonly pceId: string;
  /** 12 lower-case hex digits. */
  readonly fmspc: string;
  /** 0 standard, 1 scalable, 2 scalable with integrity. */
  readonly sgxType: number;
  /** Platform CA only, 16 bytes. */
  readonly platformInstanceId: Uint8Array | null;
  readonly configuration: {
    readonly dynamicPlatform: boolean;
    readonly cachedKeys: boolean;
    readonly smtEnabled: boolean;
  } | null;
}
