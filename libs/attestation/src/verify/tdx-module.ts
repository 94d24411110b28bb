import type { TdReport } from '../abi/parsed-quote.js';
import { equalBytes, isZero } from '../bytes.js';
import type { ModuleIdentity, ModuleReference, TcbInfo } from '../collateral/tcb-info.js';
import type { IsvLevel } from '../collateral/tcb-level.js';
import { Refusal } from '../refusal.js';

/** teeTcbSvn[0] is the module's SVN, [1] its major version (0: the original module). */
export const MODULE_SVN = 0;
export const MODULE_VERSION = 1;

/** Which module the TD ran on, and its level; null levels for module version 0, whose SVN is a platform component. */
export interface ModuleMatch {
  readonly identity: ModuleIdentity | null;
  readonly level: IsvLevel | null;
}

/** The identity of a module major version, or undefined. */
export function findModule(tcbInfo: TcbInfo, version: number): ModuleIdentity | undefined {
  const id = `TDX_${version.toString(16).padStart(2, '0').toUpperCase()}`;
  return tcbInfo.moduleIdentities.find((identity) => identity.id === id);
}

/**
 * The TDX module is the one Intel describes: signer equal, attributes zero and equal (the mask is not used, as in Intel's
 * library), SVN at some level.
 * @throws Refusal `TDX_MODULE_MISMATCH`, `TCB_NOT_SUPPORTED`
 */
export function matchModule(report: TdReport, tcbInfo: TcbInfo): ModuleMatch {
  const version = report.teeTcbSvn[MODULE_VERSION] ?? 0;
  const identity = version === 0 ? null : findModule(tcbInfo, version);
  const reference: ModuleReference | null | undefined = identity ?? (version === 0 ? tcbInfo.tdxModule : undefined);
  if (identity === undefined || reference === null || reference === undefined) {
    throw new Refusal('TDX_MODULE_MISMATCH', `the TCB info knows no TDX module of version ${version}`);
  }
  if (!equalBytes(report.mrSignerSeam, reference.mrSigner)) {
    throw new Refusal('TDX_MODULE_MISMATCH', 'the TDX module has another signer');
  }
  if (!isZero(report.seamAttributes) || !equalBytes(report.seamAttributes, reference.attributes)) {
    throw new Refusal('TDX_MODULE_MISMATCH', 'the TDX module has other attributes');
  }
  if (identity === null) return { identity: null, level: null };
  const svn = report.teeTcbSvn[MODULE_SVN] ?? 0;
  const level = identity.levels.find((candidate) => candidate.isvSvn <= svn);
  if (level === undefined) throw new Refusal('TCB_NOT_SUPPORTED', `TDX module SVN ${svn} is below every level`);
  return { identity, level };
}
