import type { PlatformState } from '../defects/platform-state.js';
import { SGX_QE, TD_QE } from '../quote/qe-report.js';
import { evaluationDataNumber } from './tcb-info.js';
import type { ValidityWindow } from './validity-window.js';

/** Enclave identity v2 of a simulated quoting enclave (attestation §3). The exact text is what gets signed. */
export function qeIdentityText(tee: 'tdx' | 'sgx', window: ValidityWindow, state: PlatformState): string {
  const enclave = tee === 'tdx' ? TD_QE : SGX_QE;
  return JSON.stringify({
    id: tee === 'tdx' ? 'TD_QE' : 'QE',
    version: 2,
    issueDate: window.issueDate,
    nextUpdate: window.nextUpdate,
    tcbEvaluationDataNumber: evaluationDataNumber(state),
    miscselect: '00000000',
    miscselectMask: 'FFFFFFFF',
    attributes: '11000000000000000000000000000000',
    attributesMask: 'FBFFFFFFFFFFFFFF0000000000000000',
    mrsigner: Buffer.from(enclave.mrSigner).toString('hex').toUpperCase(),
    isvprodid: enclave.isvProdId,
    tcbLevels: [
      {
        tcb: { isvsvn: enclave.isvSvn },
        tcbDate: '2025-05-14T00:00:00Z',
        tcbStatus: state.qeStatus ?? 'UpToDate',
        ...(state.qeAdvisoryIds === undefined ? {} : { advisoryIDs: state.qeAdvisoryIds }),
      },
      { tcb: { isvsvn: 2 }, tcbDate: '2024-03-13T00:00:00Z', tcbStatus: 'OutOfDate' },
    ],
  });
}
