import { PLATFORM } from '../platform.js';
import type { ValidityWindow } from './validity-window.js';

const ZERO_MRSIGNER = '00'.repeat(48).toUpperCase();
const NO_ATTRIBUTES = '00'.repeat(8);
const ATTRIBUTES_MASK = 'FF'.repeat(8);
/** Date of the current TCB level, and of the one before it. */
const CURRENT = '2025-05-14T00:00:00Z';
const PREVIOUS = '2024-03-13T00:00:00Z';
/** Evaluation data number of both signed documents. */
export const TCB_EVALUATION_DATA_NUMBER = 20;

/**
 * TCB info v3 for TDX (attestation §3): the simulated platform's level is UpToDate; the level below it is OutOfDate, so
 * that level selection has something to select. The exact text is what gets signed.
 */
export function tcbInfoText(window: ValidityWindow): string {
  return JSON.stringify({
    id: 'TDX',
    version: 3,
    issueDate: window.issueDate,
    nextUpdate: window.nextUpdate,
    fmspc: PLATFORM.fmspc.toUpperCase(),
    pceId: PLATFORM.pceId,
    tcbType: 0,
    tcbEvaluationDataNumber: TCB_EVALUATION_DATA_NUMBER,
    tdxModule: { mrsigner: ZERO_MRSIGNER, attributes: NO_ATTRIBUTES, attributesMask: ATTRIBUTES_MASK },
    tdxModuleIdentities: [
      {
        id: PLATFORM.tdxModuleId,
        mrsigner: ZERO_MRSIGNER,
        attributes: NO_ATTRIBUTES,
        attributesMask: ATTRIBUTES_MASK,
        tcbLevels: [
          { tcb: { isvsvn: PLATFORM.teeTcbSvn[0] }, tcbDate: CURRENT, tcbStatus: 'UpToDate' },
          { tcb: { isvsvn: 2 }, tcbDate: PREVIOUS, tcbStatus: 'OutOfDate' },
        ],
      },
    ],
    tcbLevels: [
      {
        tcb: tcb(PLATFORM.sgxComponents, PLATFORM.pceSvn, [PLATFORM.teeTcbSvn[0], 0, ...PLATFORM.teeTcbSvn.slice(2)]),
        tcbDate: CURRENT,
        tcbStatus: 'UpToDate',
      },
      {
        tcb: tcb([6, 6, 2, 2, 3, 1, 0, 3, ...zeros(8)], 11, [3, 0, 5, ...zeros(13)]),
        tcbDate: PREVIOUS,
        tcbStatus: 'OutOfDate',
        advisoryIDs: ['SIM-SA-00001'],
      },
    ],
  });
}

function tcb(sgx: readonly number[], pcesvn: number, tdx: readonly number[]) {
  return { sgxtcbcomponents: components(sgx), pcesvn, tdxtcbcomponents: components(tdx) };
}

function components(svns: readonly number[]): { svn: number }[] {
  return svns.map((svn) => ({ svn }));
}

function zeros(count: number): number[] {
  return new Array<number>(count).fill(0);
}
