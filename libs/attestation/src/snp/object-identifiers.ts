/** Contents of the object identifiers of AMD's certificates, as hex. */
export const AMD_OID = {
  /** 1.2.840.113549.1.1.10, RSASSA-PSS */
  rsassaPss: '2a864886f70d01010a',
  /** 1.2.840.113549.1.1.8 */
  mgf1: '2a864886f70d010108',
  /** 2.16.840.1.101.3.4.2.2 */
  sha384: '608648016503040202',
  /** 1.3.6.1.4.1.3704.1.2, product name such as `Milan-B0` */
  productName: '2b060104019c780102',
  /** 1.3.6.1.4.1.3704.1.3.n, security patch levels */
  bootloaderSpl: '2b060104019c78010301',
  teeSpl: '2b060104019c78010302',
  snpSpl: '2b060104019c78010303',
  microcodeSpl: '2b060104019c78010308',
  fmcSpl: '2b060104019c78010309',
  /** 1.3.6.1.4.1.3704.1.4, the chip a VCEK belongs to */
  hardwareId: '2b060104019c780104',
  /** 1.3.6.1.4.1.3704.1.5, the cloud provider a VLEK belongs to */
  cspId: '2b060104019c780105',
} as const;
