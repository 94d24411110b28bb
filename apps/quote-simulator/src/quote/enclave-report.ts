import { createHash } from 'node:crypto';
import type { PlatformState } from '../defects/platform-state.js';
import { PLATFORM } from '../platform.js';
import { SGX_REPORT } from './layout.js';
import type { TdMeasurements } from './td-report.js';

const MR_SIGNER = createHash('sha256').update('vouch simulated enclave signer').digest();
/** flags INIT | MODE64, xfrm; bit 1 of the flags is DEBUG. */
const ATTRIBUTES = Buffer.from('0500000000000000e700000000000000', 'hex');
const DEBUG = 0x02;

/**
 * Report of the enclave that stands for a guest on a simulated SGX platform, 384 bytes: MRENCLAVE is SHA-256(MRTD), so that
 * another guest is another enclave; the report data is the guest's.
 */
export function enclaveReport(td: TdMeasurements, state: PlatformState): Uint8Array {
  const report = Buffer.alloc(SGX_REPORT.size);
  report.set(PLATFORM.sgxComponents, SGX_REPORT.cpuSvn);
  report.set(ATTRIBUTES, SGX_REPORT.attributes);
  if (state.debug === true) report.writeUInt8((ATTRIBUTES[0] ?? 0) | DEBUG, SGX_REPORT.attributes);
  report.set(createHash('sha256').update(td.mrTd).digest(), SGX_REPORT.mrEnclave);
  report.set(MR_SIGNER, SGX_REPORT.mrSigner);
  report.writeUInt16LE(1, SGX_REPORT.isvProdId);
  report.writeUInt16LE(1, SGX_REPORT.isvSvn);
  report.set(td.reportData, SGX_REPORT.reportData);
  return report;
}
