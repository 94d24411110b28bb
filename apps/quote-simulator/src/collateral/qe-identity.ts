import { QE } from '../quote/qe-report.js';
import { TCB_EVALUATION_DATA_NUMBER } from './tcb-info.js';
import type { ValidityWindow } from './validity-window.js';

/** Enclave identity v2 of the simulated TD quoting enclave (attestation §3). The exact text is what gets signed. */
export function qeIdentityText(window: ValidityWindow): string {
  return JSON.stringify({
    id: 'TD_QE',
    version: 2,
    issueDate: window.issueDate,
    nextUpdate: window.nextUpdate,
    tcbEvaluationDataNumber: TCB_EVALUATION_DATA_NUMBER,
    miscselect: '00000000',
    miscselectMask: 'FFFFFFFF',
    attributes: '11000000000000000000000000000000',
    attributesMask: 'FBFFFFFFFFFFFFFF0000000000000000',
    mrsigner: QE.mrSigner.toString('hex').toUpperCase(),
    isvprodid: QE.isvProdId,
    tcbLevels: [
      { tcb: { isvsvn: QE.isvSvn }, tcbDate: '2025-05-14T00:00:00Z', tcbStatus: 'UpToDate' },
      { tcb: { isvsvn: 2 }, tcbDate: '2024-03-13T00:00:00Z', tcbStatus: 'OutOfDate' },
    ],
  });
}
