import type { ParsedQuote, TdReport } from '../abi/parsed-quote.js';
import type { EnclaveIdentity } from '../collateral/enclave-identity.js';
import type { PlatformLevel, TcbInfo } from '../collateral/tcb-info.js';
import type { IsvLevel } from '../collateral/tcb-level.js';
import { Refusal } from '../refusal.js';
import type { PckExtension } from '../x509/pck-extension.js';
import type { TcbStatus } from './tcb-status.js';
import { findModule, MODULE_SVN, MODULE_VERSION, type ModuleMatch } from './tdx-module.js';
import type { TcbFacts } from './verified-quote.js';

/** teeTcbSvn[2]: SVN of the TDX late microcode update. */
const LATE_MICROCODE = 2;

export interface TcbInputs {
  readonly quote: ParsedQuote;
  readonly pck: PckExtension;
  readonly tcbInfo: TcbInfo;
  readonly identity: EnclaveIdentity;
  readonly qeLevel: IsvLevel;
  /** Null for SGX quotes. */
  readonly module: ModuleMatch | null;
}

/**
 * Matches the platform to its TCB level and converges it with the module's and the quoting enclave's status, as Intel's
 * quote verification library does. `Revoked` comes back as a status; the caller refuses it.
 * @throws Refusal `TCB_NOT_SUPPORTED` when the platform is below every level
 */
export function evaluateTcb(inputs: TcbInputs): TcbFacts {
  const { quote, tcbInfo, identity, qeLevel, module } = inputs;
  const { sgxLevel, level } = matchLevels(inputs);
  let status = module?.level ? converge(level.status, module.level.status) : level.status;
  if (status !== 'Revoked') {
    if (quote.report.kind === 'td15' && mayRelaunch(inputs, sgxLevel.status, status)) {
      status = relaunchStatus(quote.report, tcbInfo, [sgxLevel.status, status]) ?? status;
    }
    status = converge(status, qeLevel.status);
  }
  return {
    status,
    advisoryIds: [...new Set([...level.advisoryIds, ...(module?.level?.advisoryIds ?? []), ...qeLevel.advisoryIds])],
    tcbDate: level.tcbDate,
    evaluationDataNumber: Math.min(tcbInfo.evaluationDataNumber, identity.evaluationDataNumber),
    platformStatus: level.status,
    moduleStatus: module?.level?.status ?? null,
    qeStatus: qeLevel.status,
  };
}

/** `level` decides; for TDX it must hold for the TDX components too, and `sgxLevel` is what SGX alone would give. */
function matchLevels({ quote, pck, tcbInfo }: TcbInputs): { sgxLevel: PlatformLevel; level: PlatformLevel } {
  const atSgx = tcbInfo.levels.filter(
    (level) => pck.pceSvn >= level.pceSvn && level.sgx.every((svn, i) => (pck.components[i] ?? 0) >= svn),
  );
  const [sgxLevel] = atSgx;
  if (sgxLevel === undefined) throw new Refusal('TCB_NOT_SUPPORTED', 'the platform is below every SGX TCB level');
  const { report } = quote;
  if (report.kind === 'sgx') return { sgxLevel, level: sgxLevel };
  const level = atSgx.find((candidate) => reachesTdx(report, candidate));
  if (level === undefined) throw new Refusal('TCB_NOT_SUPPORTED', 'the platform is below every TDX TCB level');
  return { sgxLevel, level };
}

/** A module with its own identity (version > 0) is judged there: components 0 and 1 are then left out. */
function reachesTdx(report: TdReport, level: PlatformLevel): boolean {
  const from = (report.teeTcbSvn[MODULE_VERSION] ?? 0) > 0 ? LATE_MICROCODE : 0;
  return level.tdx?.every((svn, i) => i < from || (report.teeTcbSvn[i] ?? 0) >= svn) ?? false;
}

const isOutOfDate = (status: TcbStatus): boolean => status.startsWith('OutOfDate');
const needsConfiguration = (status: TcbStatus): boolean => status.includes('Configuration');

function mayRelaunch({ qeLevel, module }: TcbInputs, sgx: TcbStatus, converged: TcbStatus): boolean {
  return (
    qeLevel.status === 'UpToDate' &&
    sgx !== 'Revoked' &&
    !isOutOfDate(sgx) &&
    isOutOfDate(converged) &&
    module?.level?.status === 'OutOfDate'
  );
}

/** TD 1.5: the TD started on an old module, but the one loaded now (teeTcbSvn2) is current; undefined when it is not. */
function relaunchStatus(report: TdReport, tcbInfo: TcbInfo, seen: readonly TcbStatus[]): TcbStatus | undefined {
  const loaded = report.teeTcbSvn2;
  const top = tcbInfo.levels[0]?.tdx;
  if (loaded === null || top === null || top === undefined) return undefined;
  const version = loaded[MODULE_VERSION] ?? 0;
  const wantedSvn = version === 0 ? top[MODULE_SVN] : findModule(tcbInfo, version)?.levels[0]?.isvSvn;
  const wantedMicrocode = top[LATE_MICROCODE];
  if (wantedSvn === undefined || wantedMicrocode === undefined) return undefined;
  if ((loaded[MODULE_SVN] ?? 0) < wantedSvn || (loaded[LATE_MICROCODE] ?? 0) < wantedMicrocode) return undefined;
  return seen.some(needsConfiguration) ? 'TDRelaunchAdvisedConfigurationNeeded' : 'TDRelaunchAdvised';
}

/** Convergence of a platform status with a module or QE status. */
export function converge(level: TcbStatus, other: TcbStatus): TcbStatus {
  if (level === 'Revoked' || other === 'Revoked') return 'Revoked';
  if (other !== 'OutOfDate' || isOutOfDate(level)) return level;
  return needsConfiguration(level) ? 'OutOfDateConfigurationNeeded' : 'OutOfDate';
}
