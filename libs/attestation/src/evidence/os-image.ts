import type { TdReport } from '../abi/parsed-quote.js';
import { equalBytes, toHex } from '../bytes.js';
import type { CheckOutcome } from '../check.js';
import { processMeasurements } from '../process-image/process-measurements.js';
import { readProcessVmConfig } from '../process-image/process-vm-config.js';

/** What could be said about the image a guest booted. `osImageHash` is set only when the outcome is `pass`. */
export interface OsImageFinding {
  readonly outcome: CheckOutcome;
  readonly detail: string;
  /** 64 lower-case hex digits. */
  readonly osImageHash: string | null;
  /** Not a virtual machine: a process of its host on simulated TDX. */
  readonly isProcessGuest: boolean;
}

/** Compares the boot measurements of a verified quote with those of the image named in vm_config. */
export type OsImageRule = (report: TdReport, vmConfig: string) => Promise<OsImageFinding>;

/** The rule for process guests; every other vm_config is left unjudged, and says so. */
export const judgeProcessImage: OsImageRule = async (report, vmConfig) => {
  if (!namesProcessDriver(vmConfig)) {
    return finding('skipped', 'no measurement rule is set up for this vm_config', null, false);
  }
  const reading = readProcessVmConfig(vmConfig);
  if (!reading.ok) return finding('fail', reading.reason, null, true);
  const expected = processMeasurements(reading.config);
  for (const register of ['mrTd', 'rtMr0', 'rtMr1', 'rtMr2'] as const) {
    if (equalBytes(expected[register], report[register])) continue;
    const [is, should] = [toHex(report[register]), toHex(expected[register])];
    return finding('fail', `${register} is ${is}, the named image and machine give ${should}`, null, true);
  }
  const { osImageHash } = reading.config;
  return finding('pass', `MRTD and RTMR0-2 are those of process image ${osImageHash}`, osImageHash, true);
};

function namesProcessDriver(vmConfig: string): boolean {
  try {
    const json = JSON.parse(vmConfig) as { vouch_driver?: unknown } | null;
    return json?.vouch_driver === 'process';
  } catch {
    return false;
  }
}

function finding(
  outcome: CheckOutcome,
  detail: string,
  osImageHash: string | null,
  isProcessGuest: boolean,
): OsImageFinding {
  return { outcome, detail, osImageHash, isProcessGuest };
}
