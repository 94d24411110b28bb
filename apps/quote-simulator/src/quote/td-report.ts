import { createHash } from 'node:crypto';
import { PLATFORM } from '../platform.js';
import { TD_REPORT } from './layout.js';

/** What differs from TD to TD. Registers 48 bytes each, report data 64. */
export interface TdMeasurements {
  readonly mrTd: Uint8Array;
  readonly mrConfigId: Uint8Array;
  readonly rtMr0: Uint8Array;
  readonly rtMr1: Uint8Array;
  readonly rtMr2: Uint8Array;
  readonly rtMr3: Uint8Array;
  readonly reportData: Uint8Array;
}

const MR_SEAM = createHash('sha384').update('vouch simulated TDX module').digest();
/** SEPT_VE_DISABLE (bit 28) and nothing else: no debug. */
const TD_ATTRIBUTES = Buffer.from('0000001000000000', 'hex');
const XFAM = Buffer.from('e702060000000000', 'hex');

/** TD report 1.0, 584 bytes. mrSignerSeam, seamAttributes, mrOwner and mrOwnerConfig are zero, as on real hosts. */
export function tdReport(td: TdMeasurements): Uint8Array {
  const report = new Uint8Array(TD_REPORT.size);
  report.set(PLATFORM.teeTcbSvn, TD_REPORT.teeTcbSvn);
  report.set(MR_SEAM, TD_REPORT.mrSeam);
  report.set(TD_ATTRIBUTES, TD_REPORT.tdAttributes);
  report.set(XFAM, TD_REPORT.xfam);
  report.set(sized(td.mrTd, 48), TD_REPORT.mrTd);
  report.set(sized(td.mrConfigId, 48), TD_REPORT.mrConfigId);
  report.set(sized(td.rtMr0, 48), TD_REPORT.rtMr0);
  report.set(sized(td.rtMr1, 48), TD_REPORT.rtMr1);
  report.set(sized(td.rtMr2, 48), TD_REPORT.rtMr2);
  report.set(sized(td.rtMr3, 48), TD_REPORT.rtMr3);
  report.set(sized(td.reportData, 64), TD_REPORT.reportData);
  return report;
}

function sized(bytes: Uint8Array, size: number): Uint8Array {
  if (bytes.length !== size) throw new TypeError(`expected ${size} bytes, got ${bytes.length}`);
  return bytes;
}
