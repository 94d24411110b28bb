import { createHash } from 'node:crypto';
import type { PlatformState } from '../defects/platform-state.js';
import { PLATFORM } from '../platform.js';
import { TD_REPORT, TD_REPORT_15 } from './layout.js';

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
const TD_ATTRIBUTES = '0000001000000000';
/** First attribute byte, bit 0. */
const DEBUG = 0x01;
const XFAM = Buffer.from('e702060000000000', 'hex');

/**
 * TD report 1.0 (584 bytes) or 1.5 (648), as the state of the platform has it. mrSignerSeam, seamAttributes, mrOwner and
 * mrOwnerConfig are zero on a healthy one, as on real hosts.
 */
export function tdReport(td: TdMeasurements, form: 'td10' | 'td15', state: PlatformState): Uint8Array {
  const report = new Uint8Array(form === 'td15' ? TD_REPORT_15.size : TD_REPORT.size);
  report.set(launchSvn(state), TD_REPORT.teeTcbSvn);
  report.set(MR_SEAM, TD_REPORT.mrSeam);
  if (state.mrSignerSeam !== undefined) report.set(Buffer.from(state.mrSignerSeam, 'hex'), TD_REPORT.mrSignerSeam);
  if (state.seamAttributes !== undefined)
    report.set(Buffer.from(state.seamAttributes, 'hex'), TD_REPORT.seamAttributes);
  report.set(Buffer.from(state.tdAttributes ?? TD_ATTRIBUTES, 'hex'), TD_REPORT.tdAttributes);
  if (state.debug === true) report[TD_REPORT.tdAttributes] = (report[TD_REPORT.tdAttributes] ?? 0) | DEBUG;
  report.set(XFAM, TD_REPORT.xfam);
  report.set(sized(td.mrTd, 48), TD_REPORT.mrTd);
  report.set(sized(td.mrConfigId, 48), TD_REPORT.mrConfigId);
  report.set(sized(td.rtMr0, 48), TD_REPORT.rtMr0);
  report.set(sized(td.rtMr1, 48), TD_REPORT.rtMr1);
  report.set(sized(td.rtMr2, 48), TD_REPORT.rtMr2);
  report.set(sized(td.rtMr3, 48), TD_REPORT.rtMr3);
  report.set(sized(td.reportData, 64), TD_REPORT.reportData);
  if (form === 'td15') {
    const loaded = state.moduleUpdatedSinceLaunch === true ? PLATFORM.teeTcbSvn : launchSvn(state);
    report.set(loaded, TD_REPORT_15.teeTcbSvn2);
    report.set(Buffer.from(state.mrServiceTd ?? '', 'hex'), TD_REPORT_15.mrServiceTd);
  }
  return report;
}

/** SVNs at the launch of the TD. */
function launchSvn(state: PlatformState): ArrayLike<number> {
  if (state.teeTcbSvn !== undefined) return Buffer.from(state.teeTcbSvn, 'hex');
  return state.moduleUpdatedSinceLaunch === true ? PLATFORM.previousTeeTcbSvn : PLATFORM.teeTcbSvn;
}

function sized(bytes: Uint8Array, size: number): Uint8Array {
  if (bytes.length !== size) throw new TypeError(`expected ${size} bytes, got ${bytes.length}`);
  return bytes;
}
