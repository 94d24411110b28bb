import type { PlatformState } from '../defects/platform-state.js';
import { PLATFORM } from '../platform.js';
import type { ValidityWindow } from './validity-window.js';

const ZERO_MRSIGNER = '00'.repeat(48).toUpperCase();
const NO_ATTRIBUTES = '00'.repeat(8);
const ATTRIBUTES_MASK = 'FF'.repeat(8);
/** Date of the current TCB level, and of the one before it. */
const CURRENT = '2025-05-14T00:00:00Z';
const PREVIOUS = '2024-03-13T00:00:00Z';
/** Evaluation data number of both signed documents on a healthy platform. */
const EVALUATION_DATA_NUMBER = 20;
/** The previous level: other SVNs below the current ones, so that level selection has something to select. */
const PREVIOUS_SGX = [6, 6, 2, 2, 3, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0];
const PREVIOUS_PCE_SVN = 11;

export function evaluationDataNumber(state: PlatformState): number {
  return state.evaluationDataNumber ?? EVALUATION_DATA_NUMBER;
}

/**
 * TCB info v3 (attestation §3): the level of the simulated platform has the status of the state, the level below it is
 * OutOfDate. The exact text is what gets signed.
 */
export function tcbInfoText(tee: 'tdx' | 'sgx', window: ValidityWindow, state: PlatformState): string {
  const current = tcb(tee, PLATFORM.sgxComponents, PLATFORM.pceSvn, PLATFORM.teeTcbSvn);
  const previous = tcb(tee, PREVIOUS_SGX, PREVIOUS_PCE_SVN, PLATFORM.previousTeeTcbSvn);
  return JSON.stringify({
    id: tee === 'tdx' ? 'TDX' : 'SGX',
    version: 3,
    issueDate: window.issueDate,
    nextUpdate: window.nextUpdate,
    fmspc: (state.collateralFmspc ?? PLATFORM.fmspc).toUpperCase(),
    pceId: PLATFORM.pceId,
    // Every other type is refused by verifiers.
    tcbType: state.malformed?.includes('tcb-info') === true ? 1 : 0,
    tcbEvaluationDataNumber: evaluationDataNumber(state),
    ...(tee === 'tdx' ? tdxModules(state) : {}),
    tcbLevels: [
      { tcb: current, tcbDate: CURRENT, tcbStatus: state.tcbStatus ?? 'UpToDate', ...advisories(state.advisoryIds) },
      { tcb: previous, tcbDate: PREVIOUS, tcbStatus: 'OutOfDate', advisoryIDs: ['SIM-SA-00001'] },
    ],
  });
}

function tdxModules(state: PlatformState) {
  const module = { mrsigner: ZERO_MRSIGNER, attributes: NO_ATTRIBUTES, attributesMask: ATTRIBUTES_MASK };
  const tcbLevels = [
    {
      tcb: { isvsvn: PLATFORM.teeTcbSvn[0] },
      tcbDate: CURRENT,
      tcbStatus: state.moduleStatus ?? 'UpToDate',
      ...advisories(state.moduleAdvisoryIds),
    },
    { tcb: { isvsvn: 2 }, tcbDate: PREVIOUS, tcbStatus: 'OutOfDate' },
  ];
  return { tdxModule: module, tdxModuleIdentities: [{ id: PLATFORM.tdxModuleId, ...module, tcbLevels }] };
}

/** The second TDX component is the module's version, which levels do not count. */
function tcb(tee: 'tdx' | 'sgx', sgx: readonly number[], pcesvn: number, [svn = 0, , ...tdx]: readonly number[]) {
  const level = { sgxtcbcomponents: components(sgx), pcesvn };
  return tee === 'tdx' ? { ...level, tdxtcbcomponents: components([svn, 0, ...tdx]) } : level;
}

function components(svns: readonly number[]): { svn: number }[] {
  return svns.map((svn) => ({ svn }));
}

function advisories(ids: readonly string[] | undefined): { advisoryIDs?: readonly string[] } {
  return ids === undefined ? {} : { advisoryIDs: ids };
}
