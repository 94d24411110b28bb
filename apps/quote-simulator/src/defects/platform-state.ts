import { z } from 'zod';

const hex = (sizeBytes: number) =>
  z.string().regex(new RegExp(`^[0-9a-f]{${sizeBytes * 2}}$`), `${sizeBytes * 2} lower-case hex digits`);
const advisories = z.array(z.string().min(1).max(64)).max(32).readonly();
const componentStatus = z.enum(['UpToDate', 'OutOfDate', 'Revoked']);

/** Pieces that can be out of their time, and those that can carry a signature of another key. */
const DATED = ['platform-ca', 'tcb-signing', 'pck', 'tcb-info', 'qe-identity', 'root-crl', 'pck-crl'] as const;
const SIGNED = [...DATED, 'qe-report', 'qe-binding', 'quote'] as const;
const REVOCABLE = ['platform-ca', 'tcb-signing', 'pck'] as const;
const MALFORMABLE = ['tcb-info', 'qe-identity', 'root-crl', 'pck-crl'] as const;

export type DatedPiece = (typeof DATED)[number];
export type SignedPiece = (typeof SIGNED)[number];

const fields = z.strictObject({
  /** What the guest channel quotes; `sgx` gives the quote of an enclave, and the same for its report data. */
  tee: z.enum(['tdx', 'sgx']).optional(),
  /** 3 (SGX only), 4 (default; SGX: 3) or 5. */
  quoteVersion: z.literal([3, 4, 5]).optional(),
  /** TD report in a version 5 quote: 1.5 (default) or 1.0. */
  tdReport: z.enum(['1.0', '1.5']).optional(),
  /** Status of the platform's level in the TCB info. */
  tcbStatus: z
    .enum([
      'UpToDate',
      'SWHardeningNeeded',
      'ConfigurationNeeded',
      'ConfigurationAndSWHardeningNeeded',
      'OutOfDate',
      'OutOfDateConfigurationNeeded',
      'Revoked',
    ])
    .optional(),
  advisoryIds: advisories.optional(),
  /** Status of the TDX module's and of the quoting enclave's level. */
  moduleStatus: componentStatus.optional(),
  moduleAdvisoryIds: advisories.optional(),
  qeStatus: componentStatus.optional(),
  qeAdvisoryIds: advisories.optional(),
  /** The TD was launched under the previous TDX module, and the current one is loaded now (TD report 1.5). */
  moduleUpdatedSinceLaunch: z.literal(true).optional(),
  /** SVNs of the TDX module and platform in the TD report. */
  teeTcbSvn: hex(16).optional(),
  mrSignerSeam: hex(48).optional(),
  seamAttributes: hex(8).optional(),
  /** Attributes of the TD, little-endian; the default is SEPT_VE_DISABLE alone. */
  tdAttributes: hex(8).optional(),
  /** Debug attribute of the TD or enclave, besides the other attributes. */
  debug: z.literal(true).optional(),
  /** Measurement of bound service TDs (TD report 1.5). */
  mrServiceTd: hex(48).optional(),
  /** What the quoting enclave's report shows; its signed identity stays as it is. */
  qe: z
    .strictObject({
      mrSigner: hex(32).optional(),
      attributes: hex(16).optional(),
      miscSelect: hex(4).optional(),
      isvProdId: z.int().min(0).max(65_535).optional(),
      isvSvn: z.int().min(0).max(65_535).optional(),
    })
    .optional(),
  /** FMSPC the TCB info is about. */
  collateralFmspc: hex(6).optional(),
  /** Evaluation data number of both signed documents. */
  evaluationDataNumber: z.int().min(1).max(1_000_000).optional(),
  expired: z.array(z.enum(DATED)).readonly().optional(),
  notYetValid: z.array(z.enum(DATED)).readonly().optional(),
  revoked: z.array(z.enum(REVOCABLE)).readonly().optional(),
  /** Signed by a key that is not the one of the name it is signed under. */
  forged: z.array(z.enum(SIGNED)).readonly().optional(),
  malformed: z.array(z.enum(MALFORMABLE)).readonly().optional(),
  /** Documents of the other TEE under the paths of this one. */
  documentsSwapped: z.literal(true).optional(),
});

/**
 * The state of the simulated platform: which quotes it makes and how its collateral judges them. `{}` is a healthy TDX
 * platform. Every member is a defect or another, equally real, form of platform; development and tests only.
 */
export const platformStateSchema = fields
  .refine(({ tee, quoteVersion }) => (tee ?? 'tdx') === 'sgx' || quoteVersion !== 3, {
    path: ['quoteVersion'],
    error: 'version 3 quotes are SGX quotes',
  })
  .refine(({ tee, quoteVersion, ...td }) => !needsTd15(td) || ((tee ?? 'tdx') === 'tdx' && quoteVersion === 5), {
    path: ['quoteVersion'],
    error: 'moduleUpdatedSinceLaunch, mrServiceTd and tdReport need a TDX quote of version 5',
  });

export type PlatformState = z.infer<typeof platformStateSchema>;

export const HEALTHY: PlatformState = {};

export function isHealthy(state: PlatformState): boolean {
  return Object.keys(state).length === 0;
}

/** TEE, version and report form of the quotes of a state. */
export function quoteForm(state: PlatformState): {
  readonly tee: 'tdx' | 'sgx';
  readonly version: 3 | 4 | 5;
  readonly report: 'sgx' | 'td10' | 'td15';
} {
  const tee = state.tee ?? 'tdx';
  const version = state.quoteVersion ?? (tee === 'sgx' ? 3 : 4);
  if (tee === 'sgx') return { tee, version, report: 'sgx' };
  return { tee, version, report: version === 5 && state.tdReport !== '1.0' ? 'td15' : 'td10' };
}

function needsTd15(td: Pick<z.infer<typeof fields>, 'moduleUpdatedSinceLaunch' | 'mrServiceTd' | 'tdReport'>): boolean {
  return td.moduleUpdatedSinceLaunch !== undefined || td.mrServiceTd !== undefined || td.tdReport !== undefined;
}
