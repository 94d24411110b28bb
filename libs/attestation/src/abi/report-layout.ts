import type { SgxReport, TdReport } from './parsed-quote.js';

/** Sizes in bytes of the three report bodies (Intel SGX REPORT, TDX TDREPORT 1.0 and 1.5 as carried in quotes). */
export const REPORT_BYTES = { sgx: 384, td10: 584, td15: 648 } as const;

type Field = readonly [offset: number, sizeBytes: number];

const SGX = {
  cpuSvn: [0, 16],
  miscSelect: [16, 4],
  isvExtProdId: [32, 16],
  attributes: [48, 16],
  mrEnclave: [64, 32],
  mrSigner: [128, 32],
  configId: [192, 64],
  isvProdId: [256, 2],
  isvSvn: [258, 2],
  configSvn: [260, 2],
  isvFamilyId: [304, 16],
  reportData: [320, 64],
} as const satisfies Record<string, Field>;

const TD = {
  teeTcbSvn: [0, 16],
  mrSeam: [16, 48],
  mrSignerSeam: [64, 48],
  seamAttributes: [112, 8],
  tdAttributes: [120, 8],
  xfam: [128, 8],
  mrTd: [136, 48],
  mrConfigId: [184, 48],
  mrOwner: [232, 48],
  mrOwnerConfig: [280, 48],
  rtMr0: [328, 48],
  rtMr1: [376, 48],
  rtMr2: [424, 48],
  rtMr3: [472, 48],
  reportData: [520, 64],
  teeTcbSvn2: [584, 16],
  mrServiceTd: [600, 48],
} as const satisfies Record<string, Field>;

const cut = (body: Uint8Array, [offset, sizeBytes]: Field): Uint8Array => body.subarray(offset, offset + sizeBytes);

const u16 = (body: Uint8Array, [offset]: Field): number => (body[offset] ?? 0) | ((body[offset + 1] ?? 0) << 8);

/** @param body exactly `REPORT_BYTES.sgx` bytes. */
export function readSgxReport(body: Uint8Array): SgxReport {
  return {
    kind: 'sgx',
    cpuSvn: cut(body, SGX.cpuSvn),
    miscSelect: cut(body, SGX.miscSelect),
    isvExtProdId: cut(body, SGX.isvExtProdId),
    attributes: cut(body, SGX.attributes),
    mrEnclave: cut(body, SGX.mrEnclave),
    mrSigner: cut(body, SGX.mrSigner),
    configId: cut(body, SGX.configId),
    isvProdId: u16(body, SGX.isvProdId),
    isvSvn: u16(body, SGX.isvSvn),
    configSvn: u16(body, SGX.configSvn),
    isvFamilyId: cut(body, SGX.isvFamilyId),
    reportData: cut(body, SGX.reportData),
  };
}

/** @param body exactly `REPORT_BYTES[kind]` bytes. */
export function readTdReport(kind: 'td10' | 'td15', body: Uint8Array): TdReport {
  return {
    kind,
    teeTcbSvn: cut(body, TD.teeTcbSvn),
    mrSeam: cut(body, TD.mrSeam),
    mrSignerSeam: cut(body, TD.mrSignerSeam),
    seamAttributes: cut(body, TD.seamAttributes),
    tdAttributes: cut(body, TD.tdAttributes),
    xfam: cut(body, TD.xfam),
    mrTd: cut(body, TD.mrTd),
    mrConfigId: cut(body, TD.mrConfigId),
    mrOwner: cut(body, TD.mrOwner),
    mrOwnerConfig: cut(body, TD.mrOwnerConfig),
    rtMr0: cut(body, TD.rtMr0),
    rtMr1: cut(body, TD.rtMr1),
    rtMr2: cut(body, TD.rtMr2),
    rtMr3: cut(body, TD.rtMr3),
    reportData: cut(body, TD.reportData),
    teeTcbSvn2: kind === 'td15' ? cut(body, TD.teeTcbSvn2) : null,
    mrServiceTd: kind === 'td15' ? cut(body, TD.mrServiceTd) : null,
  };
}
